"""A publication that dies before and after each step: a whole one or none, its files completed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import county
import pytest

from states.vocabulary import State
from workflow import audit, bulletins
from workflow.bulletin import Period

HERE = Path(__file__).parent
DAY = county.ACCEPTED
# Dies at the step of this number, before or after it; then the same is asked once more.
MATRIX = f"""
import json, os, shutil, sys
from contextlib import contextmanager
from pathlib import Path
sys.path[:0] = [{str(HERE.parent)!r}, {str(HERE)!r}]
import county
from workflow import bulletin_files
from workflow.bulletin import Period
from workflow.cases import Clocks
from workflow.db import Database

whole, replacing = Database.transaction, os.replace
counted, point, after = 0, 0, False

def step(late):
    global counted
    counted += not late
    if counted == point and after is late:
        os._exit(9)

@contextmanager
def transaction(self):
    with whole(self) as connection:
        yield connection
        step(False)
    step(True)

def replace(source, target):
    step(False)
    replacing(source, target)
    step(True)

Database.transaction, os.replace = transaction, replace
folder = Path(sys.argv[1])
DAY = county.ACCEPTED
wanted = bulletin_files.Wanted(
    Period.XUN, Clocks(DAY, past=True), None, True, ("docx", "xlsx", "html"))

def publish(file):
    place = county.open_at(file)
    bulletin_files.publish(place.database, file.with_suffix(""), wanted,
                           login="li", now=county.noon(DAY), force=False)
    place.database.close()

def in_a_process(file):
    child = os.fork()
    if child == 0:
        publish(file)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

publish(folder / "undisturbed.db")
steps = counted
for number in range(1, steps + 1):
    for when in (False, True):
        file = folder / f"{{number}}-{{when}}.db"
        shutil.copy(folder / "start.db", file)
        counted, point, after = 0, number, when
        died = in_a_process(file)
        for part in ("", "-wal"):  # as the dead one left it, its last commit in the log
            shutil.copy(f"{{file}}{{part}}", f"{{file.with_suffix('.dead')}}{{part}}")
        there = sorted(one.suffix for one in file.with_suffix("").glob("通报*"))
        counted, point = 0, 0
        ended = in_a_process(file)
        print(json.dumps({{"file": str(file), "died": died, "there": there, "ended": ended}}),
              flush=True)
"""


@pytest.mark.crash
@pytest.mark.sqlite
def test_whoever_dies_while_publishing_leaves_no_number_or_a_whole_publication(
    tmp_path: Path,
) -> None:
    """On SQLite alone: the dead one's database is looked at as it left it, file and log."""
    place = county.fresh(tmp_path)
    county.carry(place, county.TOWN[:3], State.STABLE_SEASON)
    place.database.close()
    for name in ("start.db", "undisturbed.db"):
        shutil.copy(place.file, tmp_path / name)

    done = subprocess.run(
        [sys.executable, "-c", MATRIX, str(tmp_path)], capture_output=True, text=True, timeout=500
    )

    assert done.stderr == ""
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {file.name: file.read_bytes() for file in (tmp_path / "undisturbed").iterdir()}
    rows = county.every_row(county.open_at(tmp_path / "undisturbed.db"))
    # One commit and three files, each died before and after.
    assert (len(expected), len(runs)) == (3, 8)
    seen = set()
    for run in runs:
        file = Path(run["file"])
        assert (run["died"], run["ended"]) == (9, 0)
        with county.open_at(file.with_suffix(".dead")).database.reading() as connection:
            dead = list(bulletins.published(connection))
            assert audit.verification(connection).findings == ()
        assert len(dead) <= 1
        # A file is never there without its number.
        assert dead or not run["there"]
        seen.add((len(dead), len(run["there"])))
        again = county.open_at(file)
        with again.database.reading() as connection:
            (kept,) = bulletins.published(connection)
        assert kept.number.endswith("〕1号")
        assert kept.period is Period.XUN
        assert county.every_row(again) == rows
        assert {
            one.name: one.read_bytes()
            for one in file.with_suffix("").iterdir()
            if not one.name.startswith(".")
        } == expected
    assert seen == {(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)}
