"""W3, the sweep: what it costs with one household in a hundred due, and with nothing new.

Every household has a running deadline; one in a hundred has complained through the engine, and its
answer comes due by rungs. Each day on which the next rung is reached is one measurement: the sweep,
and right after it another that finds nothing. The floor is by hand in a copy: one
`UPDATE … RETURNING` on the index, then the same flags and notices by `executemany`.
"""

import shutil
from datetime import date
from pathlib import Path

import by_hand
import counties
import peers
import steps
import verifying
from measure import FLOOR, OURS, Clock, Figure, Took, apart, peak

from states import evidence as keys
from states.vocabulary import FactKind
from workflow import db, dispatch, journal
from workflow.db import Database
from workflow.engine import Order

ONE_IN = 100
COMPLAINED = date(2023, 6, 1)
# The answer is due on 06-16; on each of these days it reaches its next rung.
DAYS = (date(2023, 6, 3), date(2023, 6, 9), date(2023, 6, 13), date(2023, 6, 15))
LAST = date(2023, 6, 17)
AGAIN = 20


def complain(database: Database) -> list[str]:
    """One household in a hundred complains; answers their codes."""
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT code FROM household_case ORDER BY code")
        codes = [str(code) for (code,) in found][::ONE_IN]
    given = keys.parse(FactKind.COMPLAINT, [("what", "室温不够")])
    for start in range(0, len(codes), counties.CHUNK):
        orders = [
            Order(code, FactKind.COMPLAINT, given) for code in codes[start : start + counties.CHUNK]
        ]
        steps.carry_out(database, orders, counties.COUNTY, COMPLAINED)
    return codes


def make(folder: Path, size: int) -> list[str]:
    """The county with its complaints, and its copy for the work by hand."""
    file = verifying.registered(folder, size)
    database = db.connect(str(file))
    codes = complain(database)
    database.close()
    shutil.copy(file, folder / "hand.db")
    return codes


def beside(folder: Path, size: int, due: int, reps: int) -> dict[str, Took]:
    """The peers that sweep, with as many households and as many due on the same days."""
    if size > peers.MOST:
        return {}
    with peers.field_of(folder / "peers", size, sweeping=True) as field:
        rungs = {f"{number * ONE_IN:07d}": DAYS[0] for number in range(due)}
        field.register((f"{number:07d}" for number in range(size)), rungs)
        for day, next_on in zip(DAYS[:reps], (*DAYS[1:], LAST), strict=False):
            field.sweep(day, next_on, due)
        return field.medians()


def turns(folder: Path, codes: list[str], reps: int) -> tuple[Clock, Clock, Clock, int, int]:
    """The sweep, the floor and the sweep that finds nothing, day after day."""
    swept, hand, again = Clock(), Clock(), Clock()
    floor = by_hand.SqliteHand(folder / "county.db", folder / "hand.db")
    database = db.connect(str(folder / "county.db"))
    rows = 0
    for day in DAYS[:reps]:
        now = journal.noon(day)
        before, seq = floor.look(codes, ()), floor.last()
        with swept.running():
            found = dispatch.sweep(database, now)
        if found.raised != len(codes) or found.failures:
            raise SystemExit(f"{found.raised} of {len(codes)} were raised: {found.failures[:1]}")
        changes = dict(floor.changes(before, floor.look(codes, ()), seq))
        moved = changes.pop("deadline")
        rows = sum(len(change.inserted) for change in changes.values())
        [next_on] = {row[0] for row in moved.updated}
        with hand.running():
            floor.sweep(str(next_on), str(day), changes)
        for _ in range(AGAIN):
            with again.running():
                found = dispatch.sweep(database, now)
            if found.due:
                raise SystemExit(f"the second sweep still found {found.due}")
    different = floor.differences()
    floor.close()
    database.close()
    if different:
        raise SystemExit(f"not the same rows by hand in {different}")
    return swept, hand, again, rows, peak()


def measure(folder: Path, size: int, reps: int) -> tuple[Figure, Figure]:
    """The first sweep beside its floor, and the second one by itself."""
    codes = apart(make, folder, size)
    swept, hand, again, rows, peak_mib = apart(turns, folder, codes, reps)
    apart(verifying.ours, folder / "county.db")
    more = {"due": len(codes), "rows_written": rows, "reps": len(swept.took)}
    took = {OURS: swept.median(), FLOOR: hand.median()}
    took |= apart(beside, folder, size, len(codes), reps)
    first = Figure(
        "W3",
        "SQLite, 1 % due",
        size,
        "due",
        len(codes),
        took,
        peak_mib,
        verified=True,
        missing=peers.missing(),
        more=more,
    )
    took = {OURS: again.median()}
    second = Figure("W3", "SQLite, nothing new", size, "sweep", 1, took, peak_mib, verified=True)
    return first, second
