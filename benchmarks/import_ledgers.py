"""How long a ledger takes to come in, beside the floor: reading its cells, inserting its rows.

`python benchmarks/import_ledgers.py --rows 3966 --rows 100000` prints one JSON line for each size.
The floor is calamine's reading of the same file and one raw `executemany` of its rows into a SQLite
file with the same settings, in the same run: what is above it is our own work.
"""

import argparse
import json
import re
import resource
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from random import Random

import python_calamine

from states import plan as plans
from states.identity import PersonalData, check_digit
from states.plan import Plan, Task, Unit
from states.vocabulary import Area, Facility, Kind, Quota
from workflow import db, ledger, ledger_file, setup
from workflow.ledger_file import LedgerRow

LOGIN = "county"
NAMES = ("王建国", "李桂兰", "张福贵", "欧阳明", "刘秀英", "陈军", "赵玉梅")
MIB = 1024 * 1024


def enlarged_plan(factor: int) -> str:
    """The shipped plan with an annex so many times as large."""
    text = resources.files("states").joinpath("plans", "wutai-2023.toml").read_text("utf-8")
    return re.sub(
        r"households = (\d+)", lambda found: f"households = {int(found[1]) * factor}", text
    )


def households(plan: Plan, rows: int) -> list[LedgerRow]:
    """Made-up households, each in a place of its own of the annex."""
    places = [
        (unit, task) for unit in plan.units for task in unit.tasks for _ in range(task.households)
    ]
    return [
        household(unit, task, number)
        for number, (unit, task) in enumerate(Random(16).sample(places, rows))
    ]


def household(unit: Unit, task: Task, number: int) -> LedgerRow:
    """The household of this number: its ID, meter and address are nobody else's."""
    first_17 = f"140922{1940 + number % 59}{number % 12 + 1:02d}{number // 1000 % 28 + 1:02d}"
    first_17 += f"{number % 1000:03d}"
    collective = task.kind is Kind.COLLECTIVE
    return LedgerRow(
        sheet=None,
        row=0,
        code=None,
        version=None,
        unit=unit.code,
        village=f"第{number // 40 % 50 + 1}村",
        path=task.path,
        kind=task.kind or Kind.RESIDENTIAL,
        area=task.area or Area.RURAL,
        quota=Quota.PLANNED,
        building_area=80 + number % 60,
        heating_area=50 + number % 40,
        old_facilities=(Facility.KANG, Facility.STOVE),
        personal=PersonalData(
            name=NAMES[number % len(NAMES)],
            id_number="" if collective else first_17 + check_digit(first_17),
            phone=f"138{number:08d}",
            meter=f"14{number:08d}",
            address=f"{unit.name}第{number}号",
            remarks="基准",
        ),
    )


def floor(file: Path, target: Path) -> tuple[float, float]:
    """Seconds to read the cells of the file, and to insert them as they are."""
    began = time.perf_counter()
    values = python_calamine.CalamineWorkbook.from_path(file).get_sheet_by_index(0).to_python()
    was_read = time.perf_counter()
    with sqlite3.connect(target) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        names = ", ".join(f"c{index}" for index in range(len(values[0])))
        connection.execute(f"CREATE TABLE ledger ({names})")
        marks = ", ".join("?" for _ in values[0])
        connection.executemany(f"INSERT INTO ledger VALUES ({marks})", values[1:])
    connection.close()
    return was_read - began, time.perf_counter() - was_read


def peak(who: int) -> int:
    """The largest resident memory so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit // MIB


def make(rows: int, folder: Path) -> None:
    """The plan, the ledger and the empty database of one measurement."""
    text = enlarged_plan(rows // 3966 + 1)
    plan_file = folder / "plan.toml"
    plan_file.write_text(text, encoding="utf-8")
    plan = plans.from_toml(text, plan_file.name)
    ledger_file.write_ledger(folder / "ledger.xlsx", households(plan, rows), plan)
    setup.create(
        str(folder / "county.db"),
        str(plan_file),
        drill=False,
        login=LOGIN,
        name="县办",
        today=None,
        clock=datetime.now(UTC),
    )


def measure(rows: int, folder: Path) -> dict[str, object]:
    """One import into the database, and the floor beside it."""
    file = folder / "ledger.xlsx"
    database = db.connect(str(folder / "county.db"))
    began = time.perf_counter()
    found = ledger.import_file(database, file, LOGIN, datetime.now(UTC))
    took = time.perf_counter() - began
    parent, child = peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)
    database.close()
    if found.added != rows:
        raise SystemExit(f"{found.added} of {rows} rows came in: {found.faults[:3]}")
    reading, inserting = floor(file, folder / "floor.db")
    return {
        "name": "import_ledgers",
        "rows": rows,
        "columns": len(ledger_file.HEADINGS),
        "file_kib": file.stat().st_size // 1024,
        "seconds": round(took, 2),
        "floor_seconds": round(reading + inserting, 2),
        "floor_read_seconds": round(reading, 2),
        "floor_insert_seconds": round(inserting, 2),
        "ratio": round(took / (reading + inserting), 1),
        "parent_peak_mib": parent,
        "child_peak_mib": child,
    }


def run(rows: int) -> dict[str, object]:
    """Makes and measures, each in a process of its own, so that the peaks are the import's."""
    alone = partial(ProcessPoolExecutor, 1, mp_context=get_context("spawn"))
    with tempfile.TemporaryDirectory() as folder:
        with alone() as process:
            process.submit(make, rows, Path(folder)).result()
        with alone() as process:
            return process.submit(measure, rows, Path(folder)).result()


def main() -> None:
    """Measures each size that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    for rows in parser.parse_args().rows or [3966]:
        sys.stdout.write(json.dumps(run(rows)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
