"""`xianli db`: backup, upgrade, restore and doctor as they are typed."""

import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import county
import pytest
from office import Office, make_office
from older import older

from states.vocabulary import State

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).parent.parent


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return make_office(tmp_path, capsys)


def test_a_backup_is_written_and_never_over_another_file(office: Office, tmp_path: Path) -> None:
    first = office.run("db", "backup", tmp_path / "copy.db")
    second = office.run("db", "backup", tmp_path / "copy.db")
    third = office.run("db", "backup", tmp_path / "copy.db", "--force", as_json=False)

    assert first.status == 0
    assert first.answer["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert second.status == 2
    assert third.status == 0
    assert "已备份到" in third.text


def test_a_backup_is_put_back(office: Office, tmp_path: Path) -> None:
    office.run("db", "backup", tmp_path / "copy.db")
    before = office.every_row()
    assert office.run("officer", "add", "wang", "--name", "王", "--role", "auditor").status == 0

    refused = office.run("db", "restore", tmp_path / "copy.db")
    done = office.run("db", "restore", tmp_path / "copy.db", "--accept-loss")

    assert refused.status == 4
    assert done.status == 0
    assert done.answer["lost"] == 1
    assert Path(str(done.answer["replaced"])).exists()
    assert office.every_row() == before


def test_an_older_database_is_refused_upgraded_and_opens(office: Office, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    place = county.fresh(tmp_path / "made")
    county.carry(place, county.TOWN[:1], State.EQUIPMENT_SELECTION)
    office.database.unlink()
    older(place, office.database, "0001")

    refused = office.run("case", "list")
    upgraded = office.run("db", "upgrade")
    again = office.run("db", "upgrade", as_json=False)

    assert refused.status == 3
    assert "db upgrade" in refused.text
    assert upgraded.status == 0
    assert (upgraded.answer["before"], upgraded.answer["upgraded"]) == ("0001", True)
    assert Path(str(upgraded.answer["backup"])).exists()
    assert "没有改动" in again.text
    assert office.by("zhang").run("audit", "verify").status == 0


def test_the_doctor_says_by_its_status_whether_something_must_be_done(
    office: Office, tmp_path: Path
) -> None:
    well = office.run("db", "doctor")
    (tmp_path / "xianli.toml").write_text("", encoding="utf-8")
    with sqlite3.connect(office.database) as plain:
        plain.execute("DROP TRIGGER journal_no_update")
    plain.close()
    ill = office.run("db", "doctor", as_json=False)

    assert (well.status, well.answer["healthy"]) == (0, True)
    assert ill.status == 1
    assert "journal_no_update" in ill.text


def test_who_is_not_of_the_county_office_takes_no_backup(office: Office, tmp_path: Path) -> None:
    office.run("officer", "add", "audit", "--name", "审", "--role", "auditor")

    refused = office.by("audit").run("db", "backup", tmp_path / "copy.db")

    assert refused.status == 5
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.crash
@pytest.mark.parametrize("room", [4, 40, 90, 120, 200])
def test_a_full_disk_leaves_everything_as_it_was(office: Office, tmp_path: Path, room: int) -> None:
    """Files cannot grow past so many KiB, at whatever place of the work that is reached."""
    assert office.run("db", "backup", tmp_path / "copy.db").status == 0
    before = office.every_row()
    add = ["officer", "add", "wang", "--name", "王" * 1000, "--role", "auditor"]
    commands = (add, ["db", "backup", "other.db"], ["db", "restore", "copy.db", "--accept-loss"])

    statuses = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "--json", *office.acting, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room * 1024,) * 2),
            capture_output=True,
            text=True,
            check=False,
        )
        statuses.append(done.returncode)
        assert done.returncode in (0, 3), done.stdout + done.stderr
        if done.returncode == 3:
            assert json.loads(done.stdout)["error"]["remedy"]
            assert office.every_row() == before
        else:
            before = office.every_row()
    assert 3 in statuses
    assert not (tmp_path / "other.db.part").exists()
    assert not Path(f"{office.database}.restoring").exists()
