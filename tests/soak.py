"""Many officers at the same moment, and processes that die, at the size that one wants.

    python tests/soak.py race --cases 1000    8 officers at 1,000 cases; then half of them killed
    python tests/soak.py kill --times 200     each operation killed 200 times

on files, or with `--shared` on PostgreSQL. Prints its figures as JSON and ends with 1 when anything
was wrong. `test_soak.py` runs a small, seeded sample of the same.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import county
import forms
import server
from county import County
from older import older, older_in_server
from sqlalchemy import Connection, bindparam, event, literal_column, update
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

from states.errors import CaseError
from states.identity import check_digit
from states.vocabulary import FactKind, State
from states.workdays import local_minute
from workflow import audit, batch, bulk, cases, db, dump, engine, ledger, moving, triggers, upgrade
from workflow.db import Database

HERE = Path(__file__).parent
NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)
OFFICERS = 8
SEED = 20230930
Figures = dict[str, object]


# Officers at the same moment ----------------------------------------------------------------------


def codes_of(number: int) -> list[str]:
    """The households that are raced for."""
    return [f"101-{one:04d}" for one in range(1, number + 1)]


def populated(folder: Path, number: int, *, shared: bool) -> County:
    """A county with so many households of one unit in 确村确户."""
    place = county.fresh(folder, shared=shared)
    rows = (over_plan(one) for one in range(101, 95 + number))
    take_in(place, rows, folder / "更多.xlsx")
    return place


def over_plan(number: int) -> dict[str, str]:
    """One more household than the annex knows, of thousands."""
    born = date(1950, 1, 1) + timedelta(days=number // 1000)
    first_17 = f"140922{born:%Y%m%d}{number % 1000:03d}"
    return county.household(number % 1000, "101") | {
        "身份证号": first_17 + check_digit(first_17),
        "联系电话": f"1383500{number:04d}",
        "用电户号": f"01{number:08d}",
        "详细地址": f"前村{number}号",
        "计划类别": "超计划",
    }


def take_in(place: County, rows: Iterable[dict[str, str]], file: Path) -> None:
    found = ledger.import_file(
        place.database, county.write_workbook(file, rows), "wang", county.noon(county.LEDGER_IN)
    )
    assert found.accepted, found.faults[:3]


def officer(url: str, login: str, number: int, *, unguarded: bool) -> None:
    """Takes the same step with every household and prints each answer; waits to be let go."""
    place = county.open_at(url)
    if unguarded:
        _switch_off(place.database)
    _say("ready")
    sys.stdin.readline()
    for code in codes_of(number):
        began = time.monotonic()
        told: dict[str, object] = {"code": code}
        try:
            done = engine.advance(
                place.database, county.confirm(code), login, county.noon(county.CONFIRMED)
            )
            told |= {"status": 0, "seq": done.seq, "hash": done.event_hash}
        except CaseError as error:
            told |= {"status": error.status, "message": error.message}
        except Exception as error:
            told |= {"status": 70, "message": str(error)}
        told["seconds"] = time.monotonic() - began
        _say(json.dumps(told))


def _switch_off(database: Database) -> None:
    """Takes the version check and the writers' lock away, in this process."""
    engine._UPDATE = engine._UPSERT = bulk.Rows(
        update(cases.CASE)
        .where(cases.CASE.c.code == bindparam("of"), bindparam("was") >= literal_column("0"))
        .values({name: bindparam(name) for name in engine._PROJECTED})
    )

    @event.listens_for(database.engine, "before_cursor_execute", retval=True)
    def unlocked(
        connection: object,
        cursor: DBAPICursor,
        statement: str,
        parameters: object,
        context: ExecutionContext | None,
        many: bool,
    ) -> tuple[str, object]:
        if statement == "BEGIN IMMEDIATE" or "pg_advisory_xact_lock" in statement:
            return "SELECT 1", parameters
        return statement, parameters


def strip(place: County) -> None:
    """Takes from the database what else would refuse a second step: triggers, unique numbers."""
    with place.database.transaction() as connection:
        triggers.drop(connection)
        if place.database.shared:
            for name in ("journal_pkey", "journal_stream_version"):
                connection.exec_driver_sql(f"ALTER TABLE journal DROP CONSTRAINT {name}")
            return
        connection.exec_driver_sql("ALTER TABLE journal RENAME TO guarded")
        connection.exec_driver_sql("CREATE TABLE journal AS SELECT * FROM guarded")
        connection.exec_driver_sql("DROP TABLE guarded")


@dataclass
class Race:
    """What the officers were told, and how long they waited."""

    told: list[dict[str, object]] = field(default_factory=list)
    killed: int = 0
    errors: str = ""

    @property
    def longest(self) -> float:
        return max((float(str(one["seconds"])) for one in self.told), default=0.0)

    @property
    def in_vain(self) -> int:
        """How many waited their whole time and were told to come again."""
        return sum("数据库忙" in str(one.get("message")) for one in self.told)

    def statuses(self) -> Mapping[str, int]:
        return dict(sorted(Counter(str(one["status"]) for one in self.told).items()))


def race(
    place: County, number: int, chance: random.Random, *, kill: int = 0, unguarded: bool = False
) -> Race:
    """Lets the officers go at once, kills some of them at random moments, and hears the others."""
    place.database.close()
    options = ["--unguarded"] if unguarded else []
    script = [sys.executable, str(HERE / "soak.py"), "officer", place.url]
    files = [place.file.parent / f"officer-{one}.jsonl" for one in range(OFFICERS)]
    processes = []
    for one, file in enumerate(files):
        arguments = [("wang", "head")[one % 2], str(number), *options]
        with file.open("w") as out, file.with_suffix(".err").open("w") as complaints:
            processes.append(
                subprocess.Popen(
                    [*script, *arguments], stdin=subprocess.PIPE, stdout=out, stderr=complaints
                )
            )
    for process, file in zip(processes, files, strict=True):
        _wait(process, file, 1)
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    doomed = chance.sample(range(OFFICERS), kill)
    for turn, one in enumerate(doomed, start=1):
        # Somewhere on the way, in the order of the draw: the next step is in hand.
        _wait(processes[one], files[one], 1 + chance.randrange(turn * number // (kill + 1) + 1))
        time.sleep(chance.uniform(0, 0.03))
        processes[one].send_signal(signal.SIGKILL)
    for process in processes:
        process.wait()
    # The last line of a process that was killed may be cut short.
    lines = [line for file in files for line in file.read_text().split("\n")[1:-1]]
    errors = "".join(file.with_suffix(".err").read_text() for file in files)
    return Race([json.loads(line) for line in lines], kill, errors)


def _wait(process: "subprocess.Popen[bytes]", file: Path, lines: int) -> None:
    """Waits until a process has said so many lines, or ended."""
    while file.read_bytes().count(b"\n") < lines and process.poll() is None:
        time.sleep(0.005)


def judged(place: County, found: Race, number: int) -> dict[str, int]:
    """What is wrong, by how often: nothing when each step was taken once and everybody told so."""
    steps: dict[str, list[tuple[str, int, str]]] = {code: [] for code in codes_of(number)}
    query = "SELECT stream, actor, seq, hash, recorded_at FROM journal WHERE kind = 'confirm'"
    when = {}
    for stream, actor, seq, hash_, recorded_at in place.sql(query):
        code = str(stream).removeprefix("case:")
        steps[code].append((str(actor), int(str(seq)), str(hash_)))
        when[code] = local_minute(datetime.fromisoformat(str(recorded_at)))
    written = {(seq, hash_) for taken in steps.values() for _, seq, hash_ in taken}
    wrong: Counter[str] = Counter()
    wrong["twice"] = sum(len(taken) > 1 for taken in steps.values())
    wrong["never"] = sum(not taken for taken in steps.values())
    for one in found.told:
        message, code = str(one.get("message")), str(one["code"])
        if one["status"] == 0:
            wrong["told but not there"] += (one["seq"], one["hash"]) not in written
            continue
        if "数据库忙" in message and float(str(one["seconds"])) >= db.BUSY_SECONDS:
            # Who waited that long for a machine that has too much to do is told so: `in_vain`.
            continue
        winners = [actor for actor, *_ in steps[code]]
        wrong["locked"] += "locked" in message or "数据库忙" in message
        wrong["answered wrongly"] += one["status"] not in (1, 4)
        wrong["not told who won and when"] += (
            not any(winner in message for winner in winners) or when.get(code, "?") not in message
        )
    wrong["errors"] = bool(found.errors)
    with place.database.reading() as connection:
        wrong["audit findings"] = len(audit.verification(connection).findings)
    return {what: number for what, number in wrong.items() if number}


# Processes that die -------------------------------------------------------------------------------


class Work(Protocol):
    """An operation that is killed again and again."""

    def prepare(self) -> None:
        """Sets up what the next run works on."""

    def run(self) -> None:
        """The operation, in a process that may die."""

    def standing(self) -> str:
        """`before` or `after`; fails on anything between. The journal verifies."""

    def close(self) -> None:
        """Ends every connection: a process is about to be forked."""


def whole(place: County) -> None:
    with place.database.reading() as connection:
        assert audit.verification(connection).findings == ()


class Importing:
    """A ledger of new households."""

    ROWS = 25
    # After so many it begins anew: each run verifies all that the ones before have left.
    RUNS = 20

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.folder, self.shared, self.runs = folder, shared, 0
        self.file = folder / "台账.xlsx"
        self.place = county.fresh(folder, shared=shared)
        self.before = 0

    def prepare(self) -> None:
        if self.runs == self.RUNS:
            self.place.remove()
            self.place, self.runs = county.fresh(self.folder, shared=self.shared), 0
        first = 100 + self.runs * self.ROWS
        rows = [over_plan(one) for one in range(first, first + self.ROWS)]
        county.write_workbook(self.file, rows)
        self.runs += 1
        self.before = self.number()

    def number(self) -> int:
        return int(str(self.place.sql("SELECT COUNT(*) FROM household_case")[0][0]))

    def run(self) -> None:
        database = county.open_at(self.place.url).database
        found = ledger.import_file(database, self.file, "wang", county.noon(county.LEDGER_IN))
        assert found.accepted, found.faults[:3]

    def standing(self) -> str:
        whole(self.place)
        added = self.number() - self.before
        assert added in (0, self.ROWS), f"half an import: {added}"
        return "after" if added else "before"

    def close(self) -> None:
        self.place.database.close()


class Batching:
    """A sheet of one fact for twenty households, under a key."""

    ROWS = 20

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.folder, self.runs, self.before = folder, 0, 0
        self.place = populated(folder, self.ROWS, shared=shared)
        self.form = forms.template(self.place, FactKind.COMPLAINT)
        self.sheet = folder / "投诉.xlsx"

    def prepare(self) -> None:
        self.runs += 1
        told = {"发生日期": str(county.CONFIRMED), "what": f"第 {self.runs} 次不热"}
        forms.fill(self.form, dict.fromkeys(codes_of(self.ROWS), told), self.sheet)
        self.before = self.number()

    def number(self) -> int:
        query = "SELECT COUNT(*) FROM journal WHERE kind = 'complaint'"
        return int(str(self.place.sql(query)[0][0]))

    def run(self) -> None:
        database = county.open_at(self.place.url).database
        now = county.noon(county.CONFIRMED)
        found = batch.apply(database, self.sheet, "wang", now, key=f"sheet {self.runs}")
        assert len(found.done) == self.ROWS, found.refused[:3]

    def standing(self) -> str:
        whole(self.place)
        added = self.number() - self.before
        assert added in (0, self.ROWS), f"half a batch: {added}"
        return "after" if added else "before"

    def close(self) -> None:
        self.place.database.close()


def lived_in(folder: Path, furthest: State, *, shared: bool) -> County:
    """Households in several states."""
    place = county.fresh(folder, shared=shared)
    county.carry(place, county.TOWN[3:5], State.EQUIPMENT_SELECTION)
    county.carry(place, county.TOWN[:3], furthest)
    return place


class Upgrading:
    """A database of an earlier version that comes along, after a copy of it was taken."""

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.folder, self.shared = folder, shared
        self.copies = folder / "backups"
        self.lived = lived_in(folder, State.STABLE_SEASON, shared=shared)
        self.older = server.new() if shared else ""
        if shared:
            older_in_server(self.lived, self.older, "0003")
        self.place = self.lived
        self.rows: dict[str, list[tuple[object, ...]]] = {}

    def prepare(self) -> None:
        shutil.rmtree(self.copies, ignore_errors=True)
        if self.shared:
            if self.place is not self.lived:
                server.drop(self.place.url)
            url = server.new(self.older)
        else:
            file = self.folder / "old.db"
            for suffix in ("", "-wal", "-shm"):
                Path(f"{file}{suffix}").unlink(missing_ok=True)
            url = str(older(self.lived, file, "0003"))
        self.place = County(Path(url), db.connect(url, older=True))
        self.rows = county.every_row(self.place)

    def run(self) -> None:
        upgrade.upgrade(self.place.url, self.copies, NOW, server.tools() if self.shared else None)

    def standing(self) -> str:
        version = upgrade.version(self.place.database)
        copies = [one for one in self.copies.glob("*") if one.suffix in (dump.SUFFIX, ".db")]
        with self.place.database.reading() as connection:
            for one in copies:
                self._sound(one, connection)
        if version != db.HEAD:
            assert county.every_row(self.place) == self.rows, "an upgrade left something behind"
            return "before"
        assert copies, "upgraded without a copy"
        whole(self.place)
        with self.place.database.reading() as connection:
            assert upgrade.schema_faults(connection) == []
        return "after"

    def _sound(self, copy: Path, connection: Connection) -> None:
        """A copy that has its name is whole, whenever it was that somebody died."""
        if self.shared:
            journal = dump.contents(connection, copy, server.tools()).rows["journal"]
        else:
            with closing(sqlite3.connect(copy)) as plain:
                [(journal,)] = plain.execute("SELECT COUNT(*) FROM journal")
        assert journal == len(self.rows["journal"]), f"half a copy: {copy.name}"

    def close(self) -> None:
        self.place.database.close()
        self.lived.database.close()


class Copying:
    """A county that moves: from a server to a file, or with `shared` the other way."""

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.folder, self.shared = folder, shared
        self.place = lived_in(folder, State.REMOVAL_PERMITTED, shared=not shared)
        self.rows = county.every_row(self.place)
        self.target = ""

    def prepare(self) -> None:
        if self.shared:
            if self.target:
                server.drop(self.target)
            self.target = server.new()
            return
        self.target = str(self.folder / "moved.db")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.target}{suffix}").unlink(missing_ok=True)

    def run(self) -> None:
        source = county.open_at(self.place.url).database
        moving.copy(source, self.target, lambda done, total: None)

    def standing(self) -> str:
        try:
            there = county.open_at(self.target)
        except CaseError:
            return "before"
        whole(there)
        assert county.every_row(there).keys() == self.rows.keys()
        there.database.close()
        return "after"

    def close(self) -> None:
        self.place.database.close()


OPERATIONS: Mapping[str, Callable[..., Work]] = {
    "import": Importing,
    "batch": Batching,
    "upgrade": Upgrading,
    "copy": Copying,
}


def kill(work: Work, times: int, chance: random.Random) -> Figures:
    """Kills the operation so often, each time at a random moment, and then lets it finish."""
    # The first run loads what the others find loaded.
    _run(work)
    lasts = _run(work)
    found: Counter[str] = Counter()
    while found["killed"] < times:
        work.prepare()
        work.close()
        child = _forked(work)
        time.sleep(chance.uniform(0, lasts * 1.2))
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        if status == 0:
            found["ended before"] += 1
            continue
        found["killed"] += 1
        standing = work.standing()
        found[f"found {standing}"] += 1
        if standing == "before":
            work.close()
            child = _forked(work)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert work.standing() == "after"
        if not found["killed"] % 10:
            sys.stderr.write(f"{type(work).__name__} {dict(found)}\n")
            sys.stderr.flush()
    work.close()
    return {**found, "seconds of a run": round(lasts, 3)}


def _run(work: Work) -> float:
    """How long a run lasts that nobody kills."""
    work.prepare()
    assert work.standing() == "before"
    work.close()
    began = time.monotonic()
    child = _forked(work)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lasts = time.monotonic() - began
    assert work.standing() == "after"
    return lasts


def _forked(work: Work) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work.run()
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(0)


def kills(name: str, folder: Path, times: int, seed: int, *, shared: bool) -> Figures:
    """`kill` in a process of its own, which nothing but the operation runs in."""
    script = [sys.executable, str(HERE / "soak.py"), "kill", name, "--times", str(times)]
    options = ["--seed", str(seed), *(["--shared"] if shared else [])]
    environment = {**server.environment(), "TMPDIR": str(folder)}
    done = subprocess.run(
        [*script, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)[name]
    assert isinstance(found, dict)
    return found


# At the command line ------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    one = modes.add_parser("officer")
    one.add_argument("url")
    one.add_argument("login")
    one.add_argument("number", type=int)
    one.add_argument("--unguarded", action="store_true")
    for name in ("race", "kill"):
        mode = modes.add_parser(name)
        mode.add_argument("--shared", action="store_true", help="on PostgreSQL")
        mode.add_argument("--seed", type=int, default=SEED)
        if name == "race":
            mode.add_argument("--cases", type=int, default=1000)
        else:
            mode.add_argument("--times", type=int, default=200)
            mode.add_argument("operations", nargs="*", default=[*OPERATIONS])
    given = parser.parse_args(arguments)
    if given.mode == "officer":
        officer(given.url, given.login, given.number, unguarded=given.unguarded)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="xianli-soak-"))
    try:
        if given.mode == "race":
            return _races(folder, given.cases, given.seed, shared=given.shared)
        for name in given.operations:
            (folder / name).mkdir()
            work = OPERATIONS[name](folder / name, shared=given.shared)
            _print(name, kill(work, given.times, random.Random(given.seed)))
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _races(folder: Path, number: int, seed: int, *, shared: bool) -> int:
    chance, bad = random.Random(seed), False
    for name, kills in (("all live", 0), ("half killed", OFFICERS // 2)):
        (folder / name).mkdir()
        place = populated(folder / name, number, shared=shared)
        began = time.monotonic()
        found = race(place, number, chance, kill=kills)
        seconds = time.monotonic() - began
        wrong = judged(place, found, number)
        bad = bad or bool(wrong)
        figures: Figures = {
            "cases": number,
            "killed": found.killed,
            "answers by status": found.statuses(),
            "wrong": wrong,
            "waited in vain": found.in_vain,
            "longest wait s": round(found.longest, 2),
            "seconds": round(seconds, 1),
        }
        _print(name, figures)
    return 1 if bad else 0


def _print(name: str, figures: Figures) -> None:
    _say(json.dumps({name: figures}, ensure_ascii=False))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
