"""Several officers at the same moment, and processes that die in the middle of their work."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import county
import pytest
from county import County

from states.vocabulary import State
from workflow import audit, ledger

HERE = Path(__file__).parent
SEED = 20230930
MANY = [f"101-{number:04d}" for number in range(1, 101)]
OPENING = """
import json, os, signal, sys, time
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import county
from states.errors import CaseError
from workflow import engine, ledger
place = county.open_at(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
"""
ADVANCE = """
for number in range(1, 101):
    code = f"101-{number:04d}"
    try:
        done = engine.advance(
            place.database, county.confirm(code), sys.argv[2], county.noon(county.CONFIRMED)
        )
        print(json.dumps({"code": code, "status": 0, "seq": done.seq, "hash": done.event_hash}))
    except CaseError as error:
        print(json.dumps({"code": code, "status": error.status, "message": error.message}))
"""
BATCHES = """
for make in (county.confirm, county.select, county.complete):
    for start in range(1, 101, 10):
        codes = [f"101-{number:04d}" for number in range(start, start + 10)]
        orders = [make(code) for code in codes]
        for done in place.carry_out(orders, "wang", county.COMPLETED):
            if isinstance(done, engine.Receipt):
                print(json.dumps({"seq": done.seq, "hash": done.event_hash}), flush=True)
"""
IMPORT = """
def die(done, total):
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
ledger.import_file(
    place.database, Path(sys.argv[2]), "wang", county.noon(county.CONFIRMED), progress=die
)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that waits, loaded and connected, for a line on its standard input."""
    opening = OPENING.format(root=str(HERE.parent), here=str(HERE))
    process = subprocess.Popen(
        [sys.executable, "-c", opening + script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def answers(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    told, errors = process.communicate(timeout=120)
    assert errors == ""
    # The last line of a process that was killed may be cut short.
    return [json.loads(line) for line in told.split("\n")[:-1]]


@pytest.fixture
def place(tmp_path: Path) -> County:
    """A hundred households of one unit in 确村确户."""
    place = county.fresh(tmp_path)
    import_rows(place, range(101, 195))
    return place


def over_plan(numbers: range) -> list[dict[str, str]]:
    return [county.household(number, "101", 计划类别="超计划") for number in numbers]


def import_rows(place: County, numbers: range) -> None:
    file = county.write_workbook(place.file.parent / "更多.xlsx", over_plan(numbers))
    now = county.noon(county.LEDGER_IN)
    assert ledger.import_file(place.database, file, "wang", now).added == len(numbers)


def assert_whole(place: County) -> None:
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()


def assert_written(place: County, receipts: list[dict[str, object]]) -> None:
    written = set(place.sql("SELECT seq, hash FROM journal"))
    assert {(receipt["seq"], receipt["hash"]) for receipt in receipts} <= written


@pytest.mark.crash
def test_eight_officers_on_the_same_hundred_cases_take_each_step_once(place: County) -> None:
    officers = [start(ADVANCE, place.url, "wang" if n % 2 else "head") for n in range(8)]

    for process in officers:
        go(process)
    told = [answer for process in officers for answer in answers(process)]

    won = Counter(str(answer["code"]) for answer in told if answer["status"] == 0)
    lost = [answer for answer in told if answer["status"] != 0]
    assert won == dict.fromkeys(MANY, 1)
    assert len(lost) == 700
    assert {answer["status"] for answer in lost} <= {1, 4}
    assert all("wang" in str(a["message"]) or "head" in str(a["message"]) for a in lost)
    assert place.sql("SELECT COUNT(*) FROM journal WHERE kind = 'confirm'") == [(100,)]
    assert_written(place, [answer for answer in told if answer["status"] == 0])
    assert_whole(place)


@pytest.mark.crash
def test_whoever_dies_within_a_batch_leaves_whole_batches_only(place: County) -> None:
    chance = random.Random(SEED)
    receipts: list[dict[str, object]] = []

    for _ in range(10):
        process = start(BATCHES, place.url)
        go(process)
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        receipts += answers(process)

        by_step = place.sql(
            "SELECT kind, COUNT(*) FROM journal WHERE kind IN ('confirm', 'select', 'complete')"
            " GROUP BY kind"
        )
        assert all(int(str(count)) % 10 == 0 for _, count in by_step)
        assert_whole(place)
    assert_written(place, receipts)


@pytest.mark.crash
def test_batches_that_were_killed_are_finished_by_doing_them_again(place: County) -> None:
    process = start(BATCHES, place.url)
    go(process)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    before = answers(process)

    again = start(BATCHES, place.url)
    go(again)
    after = answers(again)

    assert_written(place, before + after)
    assert {place.state(code) for code in MANY} == {State.ACCEPTANCE}
    assert_whole(place)


@pytest.mark.crash
@pytest.mark.parametrize("row", [1, 37, 100])
def test_whoever_dies_within_an_import_leaves_no_household_of_it(tmp_path: Path, row: int) -> None:
    place = county.fresh(tmp_path)
    file = county.write_workbook(tmp_path / "百户.xlsx", over_plan(range(301, 401)))
    before = county.every_row(place)

    process = start(IMPORT, place.url, file, row)
    go(process)

    assert answers(process) == []
    assert process.returncode == -signal.SIGKILL
    assert county.every_row(place) == before
    assert_whole(place)
    now = county.noon(county.CONFIRMED)
    assert ledger.import_file(place.database, file, "wang", now).added == 100
