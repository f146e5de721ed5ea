"""W5: a ledger's workbook coming in, beside reading its cells and inserting the rows it became.

The floor is calamine's reading of the same file, and the very rows that the import wrote put into a
copy of the empty county by hand, in one transaction. Each import begins with an empty county.
"""

import resource
import shutil
from datetime import date
from pathlib import Path

import by_hand
import counties
import python_calamine
import steps
from measure import FLOOR, OURS, Clock, Figure, Took, apart, peak

from workflow import db, journal, ledger, ledger_file, register

DAY = date(2023, 5, 22)


def make(folder: Path, rows: int) -> None:
    """The empty county and the workbook."""
    database = counties.found(str(folder / "empty.db"), folder, rows)
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
    database.close()
    households = list(counties.households(plan, 0, rows))
    ledger_file.write_ledger(folder / "ledger.xlsx", households, plan)


def ours(folder: Path, rows: int) -> tuple[Took, int, int]:
    """What the import took, and the peaks of the process and of the one that reads the file."""
    shutil.copy(folder / "empty.db", folder / "county.db")
    database, clock = db.connect(str(folder / "county.db")), Clock()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with clock.running():
        found = ledger.import_file(
            database, folder / "ledger.xlsx", counties.COUNTY, journal.noon(DAY)
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own, child = peak(), peak(resource.RUSAGE_CHILDREN)
    if found.added != rows:
        raise SystemExit(f"{found.added} of {rows} rows came in: {found.faults[:3]}")
    database.close()
    read_apart = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    [took] = clock.took
    return Took(took.wall, took.cpu + read_apart), own, child


def floor(folder: Path) -> tuple[Took, float]:
    """What reading and inserting took, and the wall time of the reading alone.

    Raises SystemExit unless both databases hold the same.
    """
    shutil.copy(folder / "empty.db", folder / "hand.db")
    hand = by_hand.SqliteHand(folder / "county.db", folder / "hand.db")
    changes = hand.everything()
    reading, writing = Clock(), Clock()
    with reading.running():
        book = python_calamine.CalamineWorkbook.from_path(folder / "ledger.xlsx")
        book.get_sheet_by_index(0).to_python()
    with writing.running():
        hand.write(changes)
    different = hand.differences()
    hand.close()
    if different:
        raise SystemExit(f"not the same rows by hand in {different}")
    read, written = reading.took[0], writing.took[0]
    return Took(read.wall + written.wall, read.cpu + written.cpu), read.wall


def verify(folder: Path) -> None:
    """Raises SystemExit unless the imported journal verifies."""
    database = db.connect(str(folder / "county.db"))
    steps.verify(database)
    database.close()


def measure(folder: Path, rows: int, reps: int) -> Figure:
    """The same import again and again."""
    apart(make, folder, rows)
    imported, hand = Clock(), Clock()
    own = child = 0
    reading = 0.0
    for _ in range(reps):
        took, own, child = apart(ours, folder, rows)
        imported.took.append(took)
        took, reading = apart(floor, folder)
        hand.took.append(took)
    apart(verify, folder)
    return Figure(
        "W5",
        "SQLite",
        rows,
        "row",
        rows,
        {OURS: imported.median(), FLOOR: hand.median()},
        max(own, child),
        verified=True,
        more={
            "reps": reps,
            "workbook_kib": (folder / "ledger.xlsx").stat().st_size // 1024,
            "peak_mib_of_the_reading": child,
            "floor_reading_s": round(reading, 3),
        },
    )
