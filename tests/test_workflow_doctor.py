"""The database's health: what is wrong is named with its way out, and nothing is changed."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import county
import pytest
from county import CODE, County

from workflow import backup, doctor, settings
from workflow.health import Check, Health

pytestmark = pytest.mark.sqlite

NOW = datetime.now(UTC)
NOON = county.noon(date(2023, 6, 20))


@pytest.fixture
def place(tmp_path: Path) -> County:
    place = county.fresh(tmp_path)
    place.carry_out([county.confirm(CODE)], "wang", county.CONFIRMED)
    place.file.chmod(0o600)
    return place


def examined(place: County, now: datetime = NOON) -> Mapping[str, Check]:
    given = settings.load(None, place.database.home, {})
    return {check.name: check for check in doctor.examine(place.database, given, now, lambda: NOW)}


def test_a_sound_database_has_no_faults(place: County) -> None:
    before = county.every_row(place)

    found = examined(place)

    assert {name for name, check in found.items() if check.health is Health.FAULT} == set()
    assert {name for name, check in found.items() if check.health is Health.WARNING} == {
        "witness",
        "backups",
    }
    assert all(check.remedy for check in found.values() if check.health is not Health.GOOD)
    assert county.every_row(place) == before


def damage(place: County, *statements: str) -> None:
    place.database.close()
    with closing(sqlite3.connect(place.file)) as plain:
        for statement in statements:
            plain.execute(statement)
        plain.commit()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TRIGGER journal_no_delete", "journal_no_delete"),
        ("CREATE TRIGGER extra AFTER INSERT ON gate BEGIN SELECT 1; END", "extra"),
        ("DROP INDEX ix_notice_message", "ix_notice_message"),
        ("ALTER TABLE gate ADD COLUMN remark TEXT", "remark"),
    ],
)
def test_tables_that_are_not_ours_are_a_fault(place: County, statement: str, told: str) -> None:
    damage(place, statement)

    found = examined(place)["schema"]

    assert found.health is Health.FAULT
    assert told in found.message


def test_a_broken_page_is_a_fault(place: County) -> None:
    place.database.close()
    with closing(sqlite3.connect(place.file)) as plain:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_notice_case_code'"
        (page,) = plain.execute(query).fetchone()
        (size,) = plain.execute("PRAGMA page_size").fetchone()
    with place.file.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x05" * size)

    found = examined(place)["integrity"]

    assert found.health is Health.FAULT
    assert "db restore" in (found.remedy or "")


def test_a_changed_journal_is_a_fault(place: County) -> None:
    damage(place, "DROP TRIGGER journal_no_update", "UPDATE journal SET hash = 'x' WHERE seq = 4")

    assert examined(place)["journal"].health is Health.FAULT


def test_a_clock_that_is_behind_the_journal_is_a_fault(place: County) -> None:
    found = examined(place, county.noon(date(2023, 5, 1)))["clock"]

    assert found.health is Health.FAULT
    assert "2023-05-01 12:00" in found.message


def test_a_clock_that_was_set_back_a_little_is_none(place: County) -> None:
    last = county.noon(county.CONFIRMED)

    assert examined(place, last - timedelta(seconds=59))["clock"].health is Health.GOOD
    assert examined(place, last - timedelta(seconds=61))["clock"].health is Health.FAULT


@pytest.mark.skipif(os.name == "nt", reason="Windows 没有 POSIX 权限位")
def test_a_file_that_others_can_read_is_told(place: County) -> None:
    place.file.chmod(0o644)

    assert examined(place)["rights"].health is Health.WARNING


def test_the_newest_backup_is_looked_at(place: County, tmp_path: Path) -> None:
    copy = backup.backup(place.database, tmp_path / "backups", NOW, keep=3)

    assert examined(place, NOW)["backups"].health is Health.GOOD
    assert examined(place, NOW + timedelta(days=3))["backups"].health is Health.WARNING
    copy.write_bytes(copy.read_bytes()[:-4096])
    changed = examined(place, NOW)["backups"]
    assert changed.health is Health.FAULT
    assert "写后被改过" in changed.message


def test_a_wal_that_nobody_lets_go_of_is_told(
    place: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LARGE_WAL", 1000)
    with place.database.reading():
        place.carry_out([county.confirm(county.TOWN[1])], "wang", date(2023, 6, 12))

        assert examined(place)["wal"].health is Health.WARNING


def test_little_room_on_the_disk_is_told(place: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**60)

    assert examined(place)["room"].health is Health.WARNING


@pytest.mark.parametrize(
    ("kind", "health"),
    [("ext4", Health.GOOD), ("nfs4", Health.FAULT), ("cifs", Health.FAULT), (None, Health.GOOD)],
)
def test_a_network_share_is_a_fault(
    place: County, monkeypatch: pytest.MonkeyPatch, kind: str | None, health: Health
) -> None:
    monkeypatch.setattr(doctor, "file_system", lambda file: kind)

    assert examined(place)["place"].health is health


@pytest.mark.skipif(not Path("/proc/mounts").exists(), reason="只有 Linux 说得出文件系统")
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    assert doctor.file_system(tmp_path / "x.db")
    assert doctor.file_system(Path("/proc/version")) == "proc"
