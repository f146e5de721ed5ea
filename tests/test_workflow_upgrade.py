"""Databases of every earlier version come along whole, or stay as they are."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import county
import pytest
from county import CODE, TOWN, County
from older import REVISIONS, older
from sqlalchemy import Connection, Engine, event

from states.vocabulary import State, Trigger
from workflow import audit, backup, db, migrations, triggers, upgrade
from workflow.cases import Clocks
from workflow.db import Database
from workflow.errors import BadFile, JournalBroken

pytestmark = pytest.mark.sqlite

NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Cases in several states, one closed."""
    place = county.fresh(tmp_path_factory.mktemp("upgrade"))
    place.carry_out([county.confirm(code) for code in TOWN[:4]], "wang", county.CONFIRMED)
    place.advance(TOWN[3], Trigger.CLOSE, county.CONFIRMED, *county.CLOSING)
    place.carry_out([county.select(code) for code in TOWN[:3]], "wang", county.SELECTED)
    place.carry_out([county.complete(code) for code in TOWN[:2]], "wang", county.COMPLETED)
    return place


def rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    return county.every_row(County(file, Database(db.connect(str(file), older=True).engine)))


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_older_database_comes_along_with_all_it_holds(
    place: County, tmp_path: Path, revision: str
) -> None:
    file = older(place, tmp_path / "xianli.db", revision)

    done = upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    assert (done.before, done.after) == (revision, db.HEAD)
    after, whole = rows(file), county.every_row(place)
    assert after["journal"] == whole["journal"]
    assert after["household_case"] == whole["household_case"]
    assert after["deadline"] == whole["deadline"]
    assert (done.clocks > 0) == (revision == "0001")
    with db.connect(str(file)).reading() as connection:
        assert audit.verification(connection).findings == ()
        assert upgrade.schema_faults(connection) == []


def test_the_older_one_lies_in_the_backups_as_it_was(place: County, tmp_path: Path) -> None:
    file = older(place, tmp_path / "xianli.db", "0001")
    before = rows(file)

    done = upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    assert done.copy == tmp_path / "backups" / "xianli-0001-before-upgrade-20260301T010203Z.db"
    assert rows(done.copy) == before


def test_a_backup_of_before_an_upgrade_is_never_thinned_out(place: County, tmp_path: Path) -> None:
    file = older(place, tmp_path / "xianli.db", "0002")
    done = upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    for day in range(1, 4):
        backup.backup(db.connect(str(file)), tmp_path / "backups", NOW.replace(day=day), keep=1)

    assert done.copy is not None
    assert done.copy.exists()


def test_a_database_of_this_version_is_left_alone(place: County, tmp_path: Path) -> None:
    before = county.every_row(place)

    done = upgrade.upgrade(str(place.file), tmp_path / "backups", NOW)

    assert done == upgrade.Upgraded(db.HEAD, db.HEAD, None, 0)
    assert county.every_row(place) == before
    assert not (tmp_path / "backups").exists()


def test_officers_go_on_where_they_were(place: County, tmp_path: Path) -> None:
    file = older(place, tmp_path / "county.db", "0001")
    upgrade.upgrade(str(file), tmp_path, NOW)
    along = county.open_at(file)

    along.carry_out([county.accept(CODE)], "zhao", county.ACCEPTED)

    found = county.listed(along, Clocks(county.ACCEPTED))
    assert {position.code: position.state for position in found}[CODE] is State.STABLE_SEASON


def test_an_older_database_says_what_to_do_and_is_not_touched(
    place: County, tmp_path: Path
) -> None:
    file = older(place, tmp_path / "xianli.db", "0002")
    before = file.read_bytes()

    with pytest.raises(BadFile, match="旧版本（0002）") as refused:
        db.connect(str(file))

    assert refused.value.code == "older_database"
    assert "db upgrade" in (refused.value.remedy or "")
    assert file.read_bytes() == before


@pytest.mark.parametrize("also_older", [False, True])
def test_a_database_of_a_newer_program_is_refused_clearly(
    place: County, tmp_path: Path, also_older: bool
) -> None:
    file = tmp_path / "xianli.db"
    backup.copy_to(place.file, file)
    with closing(sqlite3.connect(file)) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
        plain.commit()

    with pytest.raises(BadFile, match="新版本（9999）") as refused:
        db.connect(str(file), older=also_older)

    assert refused.value.code == "newer_database"


def test_an_upgrade_whose_backup_cannot_be_written_changes_nothing(
    place: County, tmp_path: Path
) -> None:
    file = older(place, tmp_path / "xianli.db", "0001")
    before = rows(file)
    (tmp_path / "backups").write_text("a file where the folder should be", encoding="utf-8")

    with pytest.raises(BadFile, match="备份没有写成"):
        upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    assert rows(file) == before


def test_an_upgrade_that_would_change_the_journal_is_taken_back(
    place: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = older(place, tmp_path / "xianli.db", "0002")
    before = rows(file)
    right = migrations.upgrade

    def wrong(connection: Connection) -> None:
        right(connection)
        connection.exec_driver_sql("DROP TRIGGER journal_no_update")
        connection.exec_driver_sql("UPDATE journal SET actor = 'nobody' WHERE seq = 3")

    monkeypatch.setattr(migrations, "upgrade", wrong)

    with pytest.raises(JournalBroken, match="日志的内容变了"):
        upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    assert rows(file) == before


def test_an_upgrade_that_lost_a_trigger_is_taken_back(
    place: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = older(place, tmp_path / "xianli.db", "0002")
    before = rows(file)
    monkeypatch.setitem(triggers.SQLITE, "one_more", "CREATE TRIGGER one_more …")

    with pytest.raises(JournalBroken, match="保护触发器 one_more"):
        upgrade.upgrade(str(file), tmp_path / "backups", NOW)

    assert rows(file) == before


@pytest.mark.crash
@pytest.mark.parametrize("revision", REVISIONS)
def test_killed_at_any_statement_it_is_the_old_one_or_the_new_one(
    place: County, tmp_path: Path, revision: str
) -> None:
    """A real process that dies by SIGKILL before its n-th statement, for every third n."""
    outcomes = []
    for number in range(1, 400, 3):
        file = older(place, tmp_path / f"{number}.db", revision)
        before = rows(file)
        lived = _upgraded_in_a_child(file, number)
        after = rows(file)
        with closing(sqlite3.connect(file)) as plain:
            (now,) = plain.execute("SELECT version_num FROM alembic_version").fetchone()
        outcomes.append(now)
        assert (after == before) == (now == revision)
        assert now in (revision, db.HEAD)
        if lived:
            break
        # Whoever comes next finishes it.
        assert upgrade.upgrade(str(file), tmp_path / "backups", NOW).after == db.HEAD

    assert lived
    assert outcomes.count(revision) > 10


def _upgraded_in_a_child(file: Path, dies_at: int) -> bool:
    """Whether the child came to its end."""
    child = os.fork()
    if child == 0:
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1
            if counted == dies_at:
                os.kill(os.getpid(), 9)

        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
        upgrade.upgrade(str(file), file.parent / "backups", NOW)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0
