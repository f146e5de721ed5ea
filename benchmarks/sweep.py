"""What a sweep costs: with what is due, not with all that is there.

`python benchmarks/sweep.py --rows 3966 --rows 1000000` prints one JSON line for each size: so many
running deadlines, one in a hundred of them due for its first reminder. The floor is the same by
hand in plain SQL on a copy of the same file: one `UPDATE … RETURNING`, then the flags and notices
put in with `executemany`. The second sweep finds nothing new.
"""

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from states.vocabulary import Role
from workflow import db, dispatch, journal, register, setup

LOGIN = "county"
FOUNDED, TODAY = date(2023, 5, 20), date(2023, 8, 31)
DUE_ON = date(2023, 9, 30)
ONE_IN = 100


def make(rows: int, file: Path) -> None:
    """A drill with the shipped plan, an officer in each unit, and so many deadlines."""
    now = journal.noon(FOUNDED)
    setup.create(
        str(file), "wutai-2023", drill=True, login=LOGIN, name="县办", today=FOUNDED, clock=now
    )
    database = db.connect(str(file))
    with database.reading() as connection:
        units = [unit.code for unit in register.plan_in_force(connection).units]
    for unit in units:
        setup.add_officer(
            database, f"jb-{unit}", "经办", Role.UNIT_OFFICER, unit, None, actor=LOGIN, now=now
        )
    database.close()
    with sqlite3.connect(file) as raw:
        raw.executemany(
            "INSERT INTO deadline VALUES (?, 'works', ?, ?, ?)",
            (
                (f"{unit}-{number:07d}", unit, *days(number))
                for number in range(rows)
                for unit in (units[number // ONE_IN % len(units)],)
            ),
        )
    raw.close()


def days(number: int) -> tuple[str, str]:
    """When a deadline is due, and its next rung: today's for one in a hundred."""
    if number % ONE_IN == 0:
        return str(DUE_ON), str(TODAY)
    later = DUE_ON + timedelta(days=10 + number % 50)
    return str(later), str(later - timedelta(days=30))


def by_hand(file: Path) -> float:
    """Seconds for the same rows in plain SQL, in one transaction."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    due = connection.execute(
        "UPDATE deadline SET next_rung_on = '2023-09-16' WHERE next_rung_on <= ?"
        " RETURNING case_code, unit, due_on",
        (str(TODAY),),
    ).fetchall()
    now = "2023-08-31T04:00:00.000000Z"
    connection.executemany(
        "INSERT INTO flag VALUES (?, 'works@' || ?, 'remind_30', ?, ?, 'raised', ?, ?, NULL)"
        " ON CONFLICT DO NOTHING",
        ((code, due_on, unit, due_on, str(TODAY), now) for code, unit, due_on in due),
    )
    connection.executemany(
        "INSERT INTO notice VALUES (? || '|works@' || ? || '|remind_30|' || ?, ?, ?, ?,"
        " 'works@' || ?, 'remind_30', ?, '提醒', ?, NULL, 0)",
        (
            (code, due_on, f"jb-{unit}", f"jb-{unit}", code, unit, due_on, due_on, now)
            for code, unit, due_on in due
        ),
    )
    connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return took


def count(file: Path, table: str) -> int:
    """How many rows a table has."""
    connection = sqlite3.connect(file)
    [(number,)] = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchall()
    connection.close()
    return int(number)


def measure(rows: int, folder: Path) -> dict[str, object]:
    """Two sweeps, and the floor beside them."""
    file, floor = folder / "county.db", folder / "floor.db"
    make(rows, file)
    shutil.copy(file, floor)
    database = db.connect(str(file))
    took = []
    for _ in range(2):
        began = time.perf_counter()
        done = dispatch.sweep(database, journal.noon(TODAY))
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    digests = dispatch.digests(database, journal.noon(TODAY))
    digested = time.perf_counter() - began
    database.close()
    hand = by_hand(floor)
    due = rows // ONE_IN + bool(rows % ONE_IN)
    told = count(file, "notice"), count(floor, "notice")
    if told != (due, due):
        raise SystemExit(f"{told} notices, not {due} of each")
    if done.due:
        raise SystemExit(f"the second sweep still found {done.due}")
    return {
        "name": "sweep",
        "rows": rows,
        "due": due,
        "sweep_seconds": round(took[0], 3),
        "again_seconds": round(took[1], 3),
        "digest_seconds": round(digested, 3),
        "digests": len(digests),
        "floor_seconds": round(hand, 3),
        "ratio": round(took[0] / hand, 1),
    }


def main() -> None:
    """Measures each size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    for rows in parser.parse_args().rows or [3966, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(measure(rows, Path(folder))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
