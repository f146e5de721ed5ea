"""W1, a single durable step, and W2, many at once: the lives of households through the engine.

Every household takes its five steps and the four facts of the winter that the permission rests on,
each with all its evidence, and files at the acceptance. After each transaction of ours the same
rows are written by hand into a copy, so both are measured in turns, and both end alike.
"""

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import by_hand
import counties
import peers
import postgres
from by_hand import Hand
from counties import Case, Stage
from measure import FLOOR, OURS, Clock, Figure, Took, peak
from peers import Field

from states.plan import Plan
from workflow import audit, db, engine, journal, register
from workflow.db import Database
from workflow.engine import Order, Receipt


class Race:
    """One database worked on by the engine, its copy by hand, in turns.

    On a server each officer works through his own login; `database` is who administers it.
    """

    def __init__(self, database: Database, hand: Hand, field: Field | None) -> None:
        self._database = database
        self._logged_in: dict[str, Database] = {}
        self._hand = hand
        self._field = field
        self.ours: dict[Stage, Clock] = {}
        self.floor: dict[Stage, Clock] = {}

    def run(self, stage: Stage, login: str, orders: Sequence[Order], *, single: bool) -> None:
        """The orders in one transaction, and then their rows by hand."""
        ours = self.ours.setdefault(stage, Clock())
        floor = self.floor.setdefault(stage, Clock())
        codes = [order.code for order in orders]
        hashes = [file.sha256 for order in orders for file in order.attached]
        before, seq = self._hand.look(codes, hashes), self._hand.last()
        database = self._of(login)
        now = journal.noon(stage.day)
        with ours.running():
            if single:
                engine.advance(database, orders[0], login, now)
            else:
                carry_out(database, orders, login, stage.day)
        changes = self._hand.changes(before, self._hand.look(codes, hashes), seq)
        with floor.running():
            self._hand.write(changes)
        if self._field is not None:
            acts = [peers.act_of(order, stage.day, login) for order in orders]
            self._field.act(acts, single=single)

    def _of(self, login: str) -> Database:
        if not self._database.shared:
            return self._database
        if login not in self._logged_in:
            url = postgres.as_officer(self._database.url, login)
            self._logged_in[login] = db.connect(url)
        return self._logged_in[login]

    def finish(self) -> None:
        """Raises SystemExit unless both databases hold the same and the journal verifies."""
        different = self._hand.differences()
        self._hand.close()
        if different:
            raise SystemExit(f"not the same rows by hand in {different}")
        verify(self._database)
        for database in (self._database, *self._logged_in.values()):
            database.close()


def carry_out(database: Database, orders: Sequence[Order], login: str, day: date) -> None:
    """One batch. Raises SystemExit when an order was refused."""
    answers = engine.carry_out(database, orders, login, journal.noon(day))
    refused = [answer for answer in answers if not isinstance(answer, Receipt)]
    if refused:
        raise SystemExit(f"refused: {refused[0]}")


def verify(database: Database) -> int:
    """How many events `audit verify` finds in order. Raises SystemExit when it finds anything."""
    with database.reading() as connection:
        found = audit.verification(connection)
    if not found.verified:
        raise SystemExit(f"does not verify: {found.findings[:3]}")
    return found.events


def county(folder: Path, size: int, room: int = 0) -> tuple[Database, list[Case], Plan]:
    """A county's file with its households registered, and room in its annex for as many as that."""
    folder.mkdir(parents=True, exist_ok=True)
    database = counties.found(str(folder / "county.db"), folder, max(size, room))
    cases = counties.add(database, size)
    with database.reading() as connection:
        return database, cases, register.plan_in_force(connection)


def on_files(database: Database, folder: Path, field: Field) -> Race:
    """The race on this file and a copy of it, with the peers beside them."""
    database.close()
    shutil.copy(database.file, folder / "hand.db")
    return Race(database, by_hand.SqliteHand(database.file, folder / "hand.db"), field)


def single(folder: Path, size: int, lives: int) -> Figure:
    """W1 on a file: some of the county's households, step by step, each step its own commit."""
    database, cases, plan = county(folder, size)
    with peers.field_of(folder / "peers", size) as field:
        field.register([case.code for case in cases], {})
        race = on_files(database, folder, field)
        return _single(race, "SQLite", cases, lives, plan, field)


def single_on_server(folder: Path, size: int, lives: int) -> Figure:
    """W1 on PostgreSQL."""
    folder.mkdir(parents=True, exist_ok=True)
    with postgres.server() as address:
        version = postgres.require_durable(address)
        url = postgres.new(address)
        database = counties.found(url, folder, size)
        cases = counties.add(database, size)
        with database.reading() as connection:
            plan = register.plan_in_force(connection)
        url = database.url
        database.close()
        postgres.settle(url)
        copy = postgres.copy(address, url)
        hand = by_hand.PostgresqlHand(postgres.plain(url), postgres.plain(copy))
        race = Race(db.connect(url), hand, None)
        return _single(race, f"PostgreSQL {version}", cases, lives, plan, None)


def _single(
    race: Race,
    variant: str,
    cases: Sequence[Case],
    lives: int,
    plan: Plan,
    field: Field | None,
) -> Figure:
    for stage in counties.STAGES:
        for case in cases[: lives + 1]:
            order = counties.order(case, stage, plan)
            race.run(stage, stage.who(case), [order], single=True)
        # The first household warms caches and statements on both sides, and does not count.
        del race.ours[stage].took[0], race.floor[stage].took[0]
        if field is not None:
            for clock in field.clocks.values():
                del clock.took[-lives - 1]
    race.finish()
    ours, floor = race.ours, race.floor
    every = Clock([took for clock in ours.values() for took in clock.took])
    by_hand_ = Clock([took for clock in floor.values() for took in clock.took])
    return Figure(
        "W1",
        variant,
        len(cases),
        "step",
        1,
        {OURS: every.median(), FLOOR: by_hand_.median(), **(field.medians() if field else {})},
        None if field else peak(),
        verified=True,
        missing=peers.missing() if field else (),
        more={"by_kind": _by_kind(ours, floor), "steps": len(every.took)},
    )


def _by_kind(
    ours: dict[Stage, Clock], floor: dict[Stage, Clock], pieces: int = 1
) -> dict[str, object]:
    """The medians of each kind of step, in microseconds: where the time goes."""
    return {
        f"{stage.kind}@{stage.day}": {
            "ours_us": _micro(ours[stage].median(pieces)),
            "floor_us": _micro(floor[stage].median(pieces)),
        }
        for stage in ours
    }


def _micro(took: Took) -> dict[str, int]:
    return {"wall": round(took.wall * 1e6), "cpu": round(took.cpu * 1e6)}


def bulk(folder: Path, size: int, reps: int) -> Figure:
    """W2: all households of the county, stage by stage, in batches; the last county is kept."""
    ours, floor = Clock(), Clock()
    beside: dict[str, Clock] = {}
    stages: dict[str, object] = {}
    events = 0
    for rep in range(reps):
        place = folder / f"{rep}"
        database, cases, plan = county(place, size)
        with peers.field_of(place / "peers", size) as field:
            field.register([case.code for case in cases], {})
            race = on_files(database, place, field)
            events = 0
            for stage in counties.STAGES:
                for login, orders in counties.batches(cases, stage, plan):
                    race.run(stage, login, orders, single=False)
                    events += len(orders)
            for name, clock in field.clocks.items():
                beside.setdefault(name, Clock()).took.append(clock.total())
        stages = {
            f"{stage.kind}@{stage.day}": {
                "ours_s": round(race.ours[stage].total().wall, 3),
                "floor_s": round(race.floor[stage].total().wall, 3),
            }
            for stage in race.ours
        }
        ours.took.append(_sum(race.ours))
        floor.took.append(_sum(race.floor))
        race.finish()
        if rep < reps - 1:
            shutil.rmtree(place)
    kept = folder / "county.db"
    (folder / f"{reps - 1}" / "county.db").rename(kept)
    (folder / f"{reps - 1}" / "hand.db").unlink()
    return Figure(
        "W2",
        "SQLite",
        size,
        "event",
        events,
        {
            OURS: ours.median(),
            FLOOR: floor.median(),
            **{name: clock.median() for name, clock in beside.items()},
        },
        verified=True,
        missing=peers.missing(),
        more={"events": events, "reps": reps, "by_kind": stages},
    )


def _sum(clocks: dict[Stage, Clock]) -> Took:
    totals = [clock.total() for clock in clocks.values()]
    return Took(sum(one.wall for one in totals), sum(one.cpu for one in totals))
