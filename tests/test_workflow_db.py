import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import county
import pytest
from county import CODE, County, every_row
from sqlalchemy import text

from states.errors import UsageFault
from states.vocabulary import FactKind
from workflow import db, migrations, sqlite
from workflow.db import Database
from workflow.errors import BadFile, Conflict

pytestmark = pytest.mark.sqlite


@pytest.fixture
def place(tmp_path: Path) -> County:
    return county.fresh(tmp_path)


@pytest.mark.parametrize(
    ("pragma", "answer"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("trusted_schema", 0),
    ],
)
def test_every_connection_has_the_settings_that_the_design_asks_for(
    place: County, pragma: str, answer: object
) -> None:
    with place.database.reading() as first, place.database.transaction() as second:
        found = [c.exec_driver_sql(f"PRAGMA {pragma}").scalar() for c in (first, second)]

    assert found == [answer, answer]


def test_a_setting_that_does_not_hold_is_told(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No SQLite answers 3 to this one, as an old one would not answer 1 to a new setting.
    monkeypatch.setitem(sqlite.PRAGMAS, "foreign_keys", ("ON", 3))

    with pytest.raises(BadFile, match="foreign_keys"):
        db.connect(str(place.file)).reading().__enter__()


def test_a_file_name_and_a_url_open_the_same_database(place: County) -> None:
    other = db.connect(f"sqlite:///{place.file}")

    with other.reading() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM household_case")).scalar() == 10


def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"

    with pytest.raises(UsageFault) as fault:
        db.connect(str(missing))

    assert (fault.value.status, fault.value.code, fault.value.place) == (
        2,
        "no_database",
        str(missing),
    )
    assert not missing.exists()


def test_a_new_database_does_not_take_the_place_of_an_old_one(place: County) -> None:
    before = every_row(place)

    with pytest.raises(UsageFault, match="已存在"):
        db.connect(str(place.file), new=True)

    assert every_row(place) == before


def test_a_new_database_needs_its_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="没有目录"):
        db.connect(str(tmp_path / "no" / "new.db"), new=True)


@pytest.mark.parametrize("url", ["postgresql://localhost", "sqlite://", "://", "mysql://x"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(UsageFault) as fault:
        db.connect(url)

    assert fault.value.place == "--db"


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is no database at all\n" * 50, b"PK\x03\x04"]
)
def test_a_file_that_is_no_database_is_refused_and_not_touched(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "other.db"
    file.write_bytes(content)

    with pytest.raises(BadFile):
        db.connect(str(file))

    assert file.read_bytes() == content


def test_somebody_elses_sqlite_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE journal (seq INTEGER)")
    other.close()
    content = file.read_bytes()

    with pytest.raises(BadFile, match="不是先立的数据库"):
        db.connect(str(file))

    assert file.read_bytes() == content


def test_a_database_of_another_version_is_refused(place: County) -> None:
    place.sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(BadFile, match="9999"):
        db.connect(str(place.file))


def test_a_torn_database_is_told_and_not_a_bug(tmp_path: Path, place: County) -> None:
    place.database.close()
    torn = tmp_path / "torn.db"
    shutil.copy(place.file, torn)
    content = bytearray(torn.read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)
    torn.write_bytes(content)

    with pytest.raises(BadFile, match="损坏"):
        db.connect(str(torn))


def test_a_transaction_that_fails_leaves_nothing(place: County) -> None:
    before = every_row(place)

    def fail_half_way() -> None:
        with place.database.transaction() as connection:
            connection.execute(text("UPDATE officer SET name = '某人'"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()

    assert every_row(place) == before


def test_a_reader_sees_one_unchanging_state(place: County) -> None:
    count = text("SELECT COUNT(*) FROM journal")

    with place.database.reading() as connection:
        first = connection.execute(count).scalar()
        place.advance(CODE, FactKind.FAULT, county.CONFIRMED, ("what", "不热"))
        second = connection.execute(count).scalar()

    assert first == second


def test_a_writer_who_waits_in_vain_is_told_that_somebody_else_writes(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.1)
    impatient = db.connect(str(place.file))

    with place.database.transaction(), pytest.raises(Conflict) as conflict:
        impatient.transaction().__enter__()

    assert conflict.value.status == 4


# Making one -----------------------------------------------------------------------------------


def filled(database: Database) -> None:
    with database.transaction() as connection:
        migrations.make(connection)


def test_a_new_database_has_its_name_only_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new.db"

    with db.making(str(file)) as database:
        filled(database)
        assert not file.exists()

    assert [one.name for one in tmp_path.iterdir()] == ["new.db"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_making_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with db.making(str(tmp_path / "new.db")) as database:
            filled(database)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_who_was_quicker_keeps_the_name(tmp_path: Path) -> None:
    file = tmp_path / "new.db"

    def overtaken() -> None:
        with db.making(str(file)) as database:
            filled(database)
            file.write_bytes(b"another's")

    with pytest.raises(UsageFault, match="已存在"):
        overtaken()

    assert file.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [file]


def test_without_second_names_the_database_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a stick: the file system knows one name to a file."""

    def one_name_only(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", one_name_only)

    with db.making(str(tmp_path / "new.db")) as database:
        filled(database)

    assert [one.name for one in tmp_path.iterdir()] == ["new.db"]


def test_what_a_killed_making_left_is_taken_away_and_one_at_work_is_not(tmp_path: Path) -> None:
    left, busy = tmp_path / ".new.db.1-a.part", tmp_path / ".new.db.2-b.part"
    left.touch()
    Path(f"{left}-wal").touch()
    with closing(sqlite3.connect(busy, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with db.making(str(tmp_path / "new.db")) as database:
            filled(database)

    assert {one.name for one in tmp_path.iterdir()} == {"new.db", busy.name}
