"""A publication that dies before and after each step: a whole one or none, its files completed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import county
import pytest
import server
from county import County

from states.vocabulary import State
from workflow import audit, bulletins
from workflow.bulletin import Period

HERE = Path(__file__).parent
DAY = county.ACCEPTED
# Dies at the step of this number, before or after it; then the same is asked once more.
MATRIX = f"""
import json, os, sys
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
start, folder = sys.argv[1], Path(sys.argv[2])
DAY = county.ACCEPTED
wanted = bulletin_files.Wanted(
    Period.XUN, Clocks(DAY, past=True), None, True, ("docx", "xlsx", "html"))

def publish(address, out):
    place = county.open_at(address)
    bulletin_files.publish(place.database, out, wanted,
                           login="li", now=county.noon(DAY), force=False)
    place.database.close()

def in_a_process(*arguments):
    child = os.fork()
    if child == 0:
        publish(*arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

undisturbed = county.twin(start, folder / "undisturbed.db")
publish(undisturbed, folder / "undisturbed")
print(json.dumps(undisturbed), flush=True)
steps = counted
for number in range(1, steps + 1):
    for when in (False, True):
        out = folder / f"{{number}}-{{when}}"
        address = county.twin(start, out.with_suffix(".db"))
        counted, point, after = 0, number, when
        died = in_a_process(address, out)
        dead = county.twin(address, out.with_suffix(".dead"))
        there = sorted(one.suffix for one in out.glob("通报*"))
        counted, point = 0, 0
        ended = in_a_process(address, out)
        print(json.dumps({{"address": address, "dead": dead, "out": str(out), "there": there,
                          "died": died, "ended": ended}}), flush=True)
"""


@pytest.mark.crash
def test_whoever_dies_while_publishing_leaves_no_number_or_a_whole_publication(
    tmp_path: Path,
) -> None:
    place = county.fresh(tmp_path)
    county.carry(place, county.TOWN[:3], State.STABLE_SEASON)
    place.close()

    done = subprocess.run(
        [sys.executable, "-c", MATRIX, place.url, str(tmp_path)],
        env=server.environment() if server.shared() else None,
        capture_output=True,
        text=True,
        timeout=500,
    )

    assert done.stderr == ""
    undisturbed, *runs = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {file.name: file.read_bytes() for file in (tmp_path / "undisturbed").iterdir()}
    with opened(undisturbed) as whole:
        rows = county.every_row(whole)
    # One commit and three files, each died before and after.
    assert (len(expected), len(runs)) == (3, 8)
    seen = set()
    for run in runs:
        assert (run["died"], run["ended"]) == (9, 0)
        with opened(run["dead"]) as left, left.database.reading() as connection:
            dead = list(bulletins.published(connection))
            assert audit.verification(connection).findings == ()
        assert len(dead) <= 1
        # A file is never there without its number.
        assert dead or not run["there"]
        seen.add((len(dead), len(run["there"])))
        with opened(run["address"]) as again:
            with again.database.reading() as connection:
                (kept,) = bulletins.published(connection)
            assert kept.number.endswith("〕1号")
            assert kept.period is Period.XUN
            assert county.every_row(again) == rows
        assert {
            one.name: one.read_bytes()
            for one in Path(run["out"]).iterdir()
            if not one.name.startswith(".")
        } == expected
    assert seen == {(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)}


@contextmanager
def opened(address: str) -> Iterator[County]:
    """A database that another process made, taken away after."""
    place = county.open_at(address)
    yield place
    place.remove()
