"""Backups: whole copies taken while others write, and nothing deleted that is not ours."""

import json
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import county
import pytest

from workflow import audit, backup, db
from workflow.errors import BadFile

pytestmark = pytest.mark.sqlite

NIGHT = datetime(2023, 6, 1, 18, 0, tzinfo=UTC)  # 02:00 on 2 June in Shanghai
ONE_DAY = timedelta(days=1)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_backup_is_the_whole_database_and_opens(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)

    copy = backup.backup(place.database, tmp_path / "backups", NIGHT, keep=14)

    assert copy.name == f"{place.database.file.stem}-2023-06-02.db"
    assert names(copy.parent) == ["backups.json", copy.name]
    assert county.every_row(county.open_at(copy)) == county.every_row(place)
    with db.connect(str(copy)).reading() as connection:
        assert audit.verification(connection).verified


def test_a_backup_holds_what_stands_in_the_wal_and_waits_for_no_writer(tmp_path: Path) -> None:
    place = county.fresh(tmp_path)
    with place.database.transaction() as writing:
        writing.exec_driver_sql("DELETE FROM household_key")
        copy = backup.backup(place.database, tmp_path / "backups", NIGHT, keep=14)
    assert place.database.file.with_name(place.database.file.name + "-wal").stat().st_size > 0

    later = backup.backup(place.database, tmp_path / "backups", NIGHT + ONE_DAY, keep=14)

    def keys(file: Path) -> int:
        connection = sqlite3.connect(file)
        (number,) = connection.execute("SELECT count(*) FROM household_key").fetchone()
        connection.close()
        return int(number)

    # The first saw the state before the transaction, the second the one after.
    assert keys(copy) > 0
    assert keys(later) == 0


def test_a_backup_is_for_its_owner_only(tmp_path: Path) -> None:
    copy = backup.backup(county.fresh(tmp_path).database, tmp_path / "b", NIGHT, keep=14)

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_the_newest_are_kept_and_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    database, folder = county.fresh(tmp_path).database, tmp_path / "backups"
    folder.mkdir()
    stem = database.file.stem
    foreign = folder / f"{stem}-2020-01-01.db"
    foreign.write_bytes(b"somebody else's, named like ours")
    (folder / "notes.txt").write_text("keep me", encoding="utf-8")
    for day in range(5):
        backup.backup(database, folder, NIGHT + day * ONE_DAY, keep=3)

    kept = [f"{stem}-2023-06-{day:02}.db" for day in (4, 5, 6)]
    assert names(folder) == sorted([foreign.name, "notes.txt", "backups.json", *kept])


def test_an_old_copy_that_was_changed_is_no_longer_ours_to_delete(tmp_path: Path) -> None:
    database, folder = county.fresh(tmp_path).database, tmp_path / "backups"
    first = backup.backup(database, folder, NIGHT, keep=1)
    first.write_bytes(b"changed by hand")

    backup.backup(database, folder, NIGHT + ONE_DAY, keep=1)

    assert first.read_bytes() == b"changed by hand"
    assert first.name not in json.loads((folder / "backups.json").read_text(encoding="utf-8"))


def test_two_backups_on_one_day_are_one_and_the_later(tmp_path: Path) -> None:
    place, folder = county.fresh(tmp_path), tmp_path / "backups"
    first = backup.backup(place.database, folder, NIGHT, keep=2)
    before = first.read_bytes()
    with place.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM household_key")

    assert backup.backup(place.database, folder, NIGHT, keep=2) == first

    assert first.read_bytes() != before
    assert names(folder) == ["backups.json", first.name]


def test_a_file_of_somebody_elses_in_the_days_place_is_not_overwritten(tmp_path: Path) -> None:
    database, folder = county.fresh(tmp_path).database, tmp_path / "backups"
    folder.mkdir()
    foreign = folder / f"{database.file.stem}-2023-06-02.db"
    foreign.write_bytes(b"mine")

    with pytest.raises(BadFile) as failure:
        backup.backup(database, folder, NIGHT, keep=2)

    assert failure.value.place == str(foreign)
    assert foreign.read_bytes() == b"mine"


def test_what_a_backup_that_died_left_behind_does_not_stand_in_the_way(tmp_path: Path) -> None:
    database, folder = county.fresh(tmp_path).database, tmp_path / "backups"
    folder.mkdir()
    (folder / f"{database.file.stem}-2023-06-02.db.part").write_bytes(b"half a copy")

    copy = backup.backup(database, folder, NIGHT, keep=2)

    assert names(folder) == ["backups.json", copy.name]


def test_a_folder_that_cannot_be_written_is_told_and_the_earlier_copies_stay(
    tmp_path: Path,
) -> None:
    database = county.fresh(tmp_path).database
    (tmp_path / "backups").write_text("a file", encoding="utf-8")

    with pytest.raises(BadFile) as failure:
        backup.backup(database, tmp_path / "backups", NIGHT, keep=2)

    assert failure.value.remedy is not None


def test_a_list_that_cannot_be_read_deletes_nothing(tmp_path: Path) -> None:
    database, folder = county.fresh(tmp_path).database, tmp_path / "backups"
    first = backup.backup(database, folder, NIGHT, keep=1)
    (folder / "backups.json").write_text("[]", encoding="utf-8")

    with pytest.raises(BadFile):
        backup.backup(database, folder, NIGHT + ONE_DAY, keep=1)

    assert first.exists()


def test_a_damaged_database_does_not_become_a_backup(tmp_path: Path) -> None:
    place, folder = county.fresh(tmp_path), tmp_path / "backups"
    place.database.close()
    file = place.database.file
    content = bytearray(file.read_bytes())
    # The middle of the file, well past the schema: the pages are no pages any more.
    content[len(content) // 2 :] = b"\xaa" * (len(content) - len(content) // 2)
    file.write_bytes(content)

    with pytest.raises(BadFile):
        backup.backup(place.database, folder, NIGHT, keep=1)

    assert not list(folder.glob("*.db"))


def test_a_copy_whose_index_does_not_fit_its_table_is_no_backup(tmp_path: Path) -> None:
    """Damage that a copy takes over without a word: only the check of the copy finds it."""
    place, folder = county.fresh(tmp_path), tmp_path / "backups"
    good = backup.backup(place.database, folder, NIGHT, keep=1)
    place.database.close()
    connection = sqlite3.connect(place.database.file)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, '(unit)', '(village)') "
        "WHERE name = 'ix_household_case_unit'"
    )
    connection.commit()
    connection.close()

    with pytest.raises(BadFile, match="不完好"):
        backup.backup(place.database, folder, NIGHT + ONE_DAY, keep=1)

    assert list(folder.glob("*.db")) == [good]
