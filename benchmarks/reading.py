"""W8, the county on a past day, and W9, what a big county takes of disk and memory."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stdout
from datetime import date
from pathlib import Path

import counties
import steps
import sweeping
import verifying
from measure import FLOOR, OURS, Clock, Figure, apart, peak

import cli
from states import evidence as keys
from states.vocabulary import FactKind, State
from workflow import asof, audit, db, dispatch, journal, register
from workflow.cases import Clocks
from workflow.engine import Order

# After the acceptances, before the winter: six of ten events count.
DAY = date(2023, 9, 20)
_LATEST = """SELECT to_state, COUNT(*) FROM (
    SELECT to_state, MAX(version) FROM journal
    WHERE stream LIKE 'case:%' AND to_state IS NOT NULL AND occurred_on <= ?
    GROUP BY stream) GROUP BY to_state"""


def on_a_day(file: Path, reps: int) -> tuple[Clock, Clock, int]:
    """The county's figures of a past day by unit, beside one query for each stream's last state."""
    database = db.connect(str(file))
    ours, floor = Clock(), Clock()
    with closing(sqlite3.connect(file)) as raw:
        for _ in range(reps):
            with ours.running(), database.reading() as connection:
                plan = register.plan_in_force(connection)
                view = asof.view(connection, plan, Clocks(DAY, past=True))
            with floor.running():
                rows = raw.execute(_LATEST, (str(DAY),)).fetchall()
            stood: Counter[State] = Counter()
            for unit in view.by_unit:
                stood.update(unit.by_state)
            if {str(state): number for state, number in stood.items() if number} != dict(rows):
                raise SystemExit(f"not the same figures: {stood}, {rows}")
    database.close()
    return ours, floor, peak()


def as_of(folder: Path, size: int, reps: int) -> Figure:
    """W8 on a county that lived through its year."""
    file = apart(verifying.lives, folder, size)
    ours, floor, peak_mib = apart(on_a_day, file, reps)
    apart(verifying.ours, file)
    took = {OURS: ours.median(), FLOOR: floor.median()}
    return Figure("W8", "SQLite", size, "case", size, took, peak_mib, verified=True)


# What a big county takes ---------------------------------------------------------------------


def _step(file: Path) -> None:
    """A batch of visits, as large as a batch gets."""
    database = db.connect(str(file))
    with database.reading() as connection:
        query = f"SELECT code FROM household_case ORDER BY code LIMIT {counties.CHUNK}"
        codes = [str(code) for (code,) in connection.exec_driver_sql(query)]
    given = keys.parse(FactKind.VISIT, [("temperature", "20")])
    orders = [Order(code, FactKind.VISIT, given) for code in codes]
    steps.carry_out(database, orders, counties.COUNTY, sweeping.DAYS[0])


def _sweep(file: Path) -> None:
    dispatch.sweep(db.connect(str(file)), journal.noon(sweeping.DAYS[0]))


def _verify(file: Path) -> None:
    steps.verify(db.connect(str(file)))


def _bundle(file: Path) -> None:
    with db.connect(str(file)).reading() as connection:
        audit.write_bundle(connection, file.with_suffix(".jsonl"))


def _command(*arguments: str) -> Callable[[Path], None]:
    """A command as it is typed, on the day of the sweep; nobody looks at what it prints."""

    def run(file: Path) -> None:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            status = cli.run(["--db", str(file), "--today", str(sweeping.DAYS[0]), *arguments])
        if status:
            raise SystemExit(f"{arguments} ended with {status}")

    return run


WORK: Mapping[str, Callable[[Path], None]] = {
    "sweep": _sweep,
    "batch of 5,000": _step,
    "case list": _command("case", "list"),
    "case list, JSON": _command("--json", "case", "list"),
    "check": _command("check"),
    "audit verify": _verify,
    "audit bundle": _bundle,
}


def _memory(name: str, file: Path) -> tuple[Clock, int]:
    clock = Clock()
    with clock.running():
        WORK[name](file)
    return clock, peak()


def large(folder: Path, size: int) -> Iterator[Figure]:
    """W9: the file, and each command's work with the peak of a process that does nothing else."""
    apart(sweeping.make, folder, size)
    file = folder / "county.db"
    mib = verifying.size_of(file)
    for name in WORK:
        clock, peak_mib = apart(_memory, name, file)
        took = {OURS: clock.median()}
        variant = f"{name}; file {mib} MiB"
        yield Figure("W9", variant, size, "run", 1, took, peak_mib, more={"file_mib": mib})
