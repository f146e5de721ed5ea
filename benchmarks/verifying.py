"""W4: `audit verify` beside reading the journal's rows in order, hashing them, comparing chains.

Both run in processes of their own, in turns, so that the peaks of memory are their own too.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import counties
import multiply
import peers
import steps
from counties import Case, Stage
from measure import FLOOR, OURS, Clock, Figure, Took, apart, peak

from states import plan as plans
from states.vocabulary import Area, Kind
from states.vocabulary import Path as HeatingPath
from workflow import audit, db, quarantine

# Households that live their life through the engine before they are multiplied.
FEW = 400
# One event for the registration, nine for the life.
EVENTS = 1 + len(counties.STAGES)
_LIKE = (HeatingPath.COAL_TO_ELECTRIC, Kind.RESIDENTIAL, Area.RURAL)


def lives(folder: Path, size: int) -> Path:
    """A county whose households all went through their whole life: ten events each."""
    return _made(folder, "lives", size, counties.STAGES)


def registered(folder: Path, size: int) -> Path:
    """A county whose households have only been registered."""
    return _made(folder, "registered", size, ())


def _made(folder: Path, name: str, size: int, stages: Sequence[Stage]) -> Path:
    """A copy of the county of this name: made once, it serves every workload of the folder."""
    made = folder.parent / f"{name}-{size}.db"
    if not made.exists():
        few = folder / "few"
        database, cases, plan = steps.county(few, min(size, FEW), room=size)
        for stage in stages:
            for login, orders in counties.batches(cases, stage, plan):
                steps.carry_out(database, orders, login, stage.day)
        database.close()
        multiply.multiply(database.file, few / "many.db", size, plan)
        (few / "many.db").rename(made)
        shutil.rmtree(few)
    shutil.copy(made, folder / "county.db")
    return folder / "county.db"


def by_hand(file: Path) -> Took:
    """The floor: one query, a SHA-256 and a comparison for each row."""
    clock = Clock()
    with clock.running(), closing(sqlite3.connect(file)) as connection:
        heads: dict[str, tuple[int, str | None]] = {}
        query = "SELECT stream, version, previous, hash, body FROM journal ORDER BY seq"
        for stream, version, previous, hash_, body in connection.execute(query):
            before, head = heads.get(stream, (0, None))
            if hashlib.sha256(body).hexdigest() != hash_ or (version, previous) != (
                before + 1,
                head,
            ):
                raise SystemExit(f"the journal is broken in {stream}")
            heads[stream] = (version, hash_)
    return clock.took[0]


def ours(file: Path) -> tuple[Took, int, int]:
    """What it took, how many events there were, and the peak of memory."""
    clock = Clock()
    database = db.connect(str(file))
    with clock.running(), database.reading() as connection:
        found = audit.verification(connection)
    if not found.verified:
        raise SystemExit(f"does not verify: {found.findings[:3]}")
    return clock.took[0], found.events, peak()


def chain(file: Path) -> tuple[Took, int]:
    """What `audit verify --chain` took, and the peak of memory."""
    clock = Clock()
    database = db.connect(str(file))
    with clock.running(), database.reading() as connection:
        found = quarantine.damage(connection)
    if found.streams or found.missing:
        raise SystemExit(f"the chain is broken: {found}")
    return clock.took[0], peak()


def beside(folder: Path, households: int, reps: int) -> dict[str, Took]:
    """The peers reading as many events of as many households again."""
    if households > peers.MOST:
        return {}
    cases = [Case(f"{number:07d}", "103", *_LIKE) for number in range(households)]
    plan = plans.from_toml(counties.plan_text(1), "plan.toml")
    with peers.field_of(folder / "peers", households) as field:
        field.register([case.code for case in cases], {})
        for stage in counties.STAGES:
            for login, orders in counties.batches(cases, stage, plan):
                field.act([peers.act_of(order, stage.day, login) for order in orders], single=False)
        for clock in field.clocks.values():
            clock.took.clear()
        for _ in range(reps):
            field.replay(households * len(counties.STAGES))
        return field.medians()


def measure(folder: Path, events: int, reps: int) -> tuple[Figure, Figure]:
    """A journal of about so many events, verified again and again: all of it, and its chain."""
    households = events // EVENTS
    file = apart(lives, folder, households)
    hand, audited, chained = Clock(), Clock(), Clock()
    found = peak_mib = least_mib = 0
    for _ in range(reps):
        hand.took.append(apart(by_hand, file))
        took, least_mib = apart(chain, file)
        chained.took.append(took)
        took, found, peak_mib = apart(ours, file)
        audited.took.append(took)
    medians = {OURS: audited.median(), FLOOR: hand.median()}
    # They hold no events of gates, officers and registrations: told of as many as ours.
    scale = found / (households * len(counties.STAGES))
    for name, one in apart(beside, folder, households, reps).items():
        medians[name] = Took(one.wall * scale, one.cpu * scale)
    more = {"households": households, "reps": reps, "file_mib": size_of(file)}
    whole = Figure(
        "W4",
        "SQLite, all of it",
        found,
        "event",
        found,
        medians,
        peak_mib,
        verified=True,
        missing=peers.missing(),
        more=more,
    )
    took_chain = {OURS: chained.median(), FLOOR: hand.median()}
    alone = Figure(
        "W4",
        "SQLite, --chain",
        found,
        "event",
        found,
        took_chain,
        least_mib,
        verified=True,
        more=more,
    )
    return whole, alone


def size_of(file: Path) -> int:
    """The file's size in MiB."""
    return file.stat().st_size // (1024 * 1024)
