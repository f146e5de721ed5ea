"""The sweep that dies before and after every commit, sleeps, and runs twice at once."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import county
import pytest
import server
from county import CODE, OTHER_UNIT, County
from ladder import Watch

from states.vocabulary import FactKind, State
from workflow import audit, dispatch

HERE = Path(__file__).parent
OPENING = f"""
import json, os, sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
sys.path[:0] = [{str(HERE.parent)!r}, {str(HERE)!r}]
import county
from workflow import dispatch
from workflow.db import Database
DAYS = [date.fromisoformat(day) for day in sys.argv[2].split()]
"""
# Dies at the commit of this number, before or after it, and is started again until all is done.
MATRIX = (
    OPENING
    + """
whole = Database.transaction
counted, point, after = 0, 0, False

@contextmanager
def dying(self):
    global counted
    with whole(self) as connection:
        yield connection
        counted += 1
        if counted == point and not after:
            os._exit(9)
    if counted == point and after:
        os._exit(9)

Database.transaction = dying
start, folder = sys.argv[1], Path(sys.argv[3])

def rounds(address):
    place = county.open_at(address)
    for day in DAYS:
        dispatch.round_(place.database, county.noon(day))
    place.database.close()

def in_a_process(address):
    child = os.fork()
    if child == 0:
        rounds(address)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

undisturbed = county.twin(start, folder / "undisturbed.db")
rounds(undisturbed)
print(json.dumps(undisturbed), flush=True)
commits = counted
for number in range(1, commits + 1):
    for when in (False, True):
        address = county.twin(start, folder / f"{number}-{when}.db")
        counted, point, after = 0, number, when
        died = in_a_process(address)
        counted, point = 0, 0
        ended = in_a_process(address)
        print(json.dumps({"address": address, "died": died, "ended": ended}), flush=True)
"""
)
ROUNDS = (
    OPENING
    + """
place = county.open_at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for day in DAYS:
    done = dispatch.round_(place.database, county.noon(day))
    assert done.swept.failures == [], done.swept.failures
    print(json.dumps({"raised": done.swept.raised, "digests": done.digests}), flush=True)
"""
)
REMIND, YELLOW, ORANGE = date(2023, 9, 27), date(2023, 10, 1), date(2023, 10, 9)
RED, WINTER = date(2023, 10, 13), date(2023, 11, 1)
CODES = [CODE, county.TOWN[1], OTHER_UNIT, county.HEATING]


@pytest.fixture
def place(tmp_path: Path) -> County:
    """Households in 施工, one of them without its stove, one with a complaint."""
    place = county.fresh(tmp_path)
    county.carry(place, county.CODES, State.CONSTRUCTION)
    removed = (("facility", "kang"), ("status", "removed"), ("by", "household"))
    place.advance(CODE, FactKind.OLD_FACILITY, county.COMPLETED, *removed)
    place.advance(OTHER_UNIT, FactKind.COMPLAINT, county.COMPLETED, ("what", "不热"))
    return place


def start(script: str, url: str, days: list[date], *folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, url, " ".join(map(str, days)), *map(str, folder)],
        env=server.environment() if server.shared() else None,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_one_digest_a_day(place: County) -> None:
    rows = place.sql("SELECT person, substr(key, 8, 10) FROM message WHERE kind = 'digest'")
    assert max(Counter(rows).values()) == 1


@pytest.mark.crash
def test_whoever_dies_before_or_after_any_commit_the_next_round_makes_it_whole(
    place: County, tmp_path: Path
) -> None:
    """With the same clock the next round ends with the very same rows, all of them."""
    place.close()
    # A server takes its time for each of them: what is told in autumn alone.
    days = [YELLOW, RED] if place.database.shared else [REMIND, YELLOW, RED, WINTER]

    told, errors = start(MATRIX, place.url, days, tmp_path).communicate(timeout=500)

    assert errors == ""
    address, *runs = [json.loads(line) for line in told.splitlines()]
    undisturbed = county.open_at(address)
    expected = county.every_row(undisturbed)
    assert len(runs) >= 8 * len(days)
    for run in runs:
        assert (run["died"], run["ended"]) == (9, 0)
        after = county.open_at(run["address"])
        assert county.every_row(after) == expected, run["address"]
        after.remove()
    assert_one_digest_a_day(undisturbed)
    assert len(expected["letter"]) == 4
    with undisturbed.database.reading() as connection:
        assert audit.verification(connection).findings == ()
    undisturbed.remove()


@pytest.mark.crash
def test_two_schedulers_at_once_tell_each_person_once(place: County, tmp_path: Path) -> None:
    days = [REMIND, YELLOW, ORANGE, RED, WINTER]
    alone = county.copy(place, tmp_path / "alone")
    for day in days:
        dispatch.round_(alone.database, county.noon(day))

    two = [start(ROUNDS, place.url, days) for _ in range(2)]
    for process in two:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in two:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=120) for process in two]

    assert [errors for _, errors in ends] == ["", ""]
    together = place
    every_row = county.every_row(together)
    for table, rows in county.every_row(alone).items():
        # Who of the two came first may differ: the order of seq, and with it the letters' hashes.
        if table not in ("journal", "letter"):
            assert every_row[table] == rows, table
    digests = [key for out, _ in ends for line in out.splitlines()
               for key in json.loads(line)["digests"]]  # fmt: skip
    assert len(digests) == len(set(digests))
    assert_one_digest_a_day(together)
    with together.database.reading() as connection:
        assert audit.verification(connection).findings == ()


def test_asleep_for_forty_days_and_awake_at_last_the_set_is_the_oracles(place: County) -> None:
    [(complaint,)] = place.sql("SELECT seq FROM journal WHERE kind = 'complaint'")
    watch = Watch(county.CODES)
    watch.happens(county.COMPLETED, OTHER_UNIT, "complaint", int(str(complaint)))

    for day in (date(2023, 9, 3), RED):
        dispatch.round_(place.database, county.noon(day))
        watch.sweep(day)

    rows = place.sql("SELECT case_code, deadline, rung, status FROM flag")
    assert {(str(a), str(b), str(c)): d for a, b, c, d in rows} == watch.flags
    keys = place.sql("SELECT key FROM notice WHERE deadline IS NOT NULL")
    assert {tuple(str(key).split("|")) for (key,) in keys} == watch.told
    assert_one_digest_a_day(place)
