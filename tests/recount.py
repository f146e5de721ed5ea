"""The figures counted a second time: from the bytes of the journal, event by event, no projection.

`Recount` knows no table but the journal and shares no code with what it checks; deadlines and the
rule of the season alone are asked of `states`, about facts folded here from the whole history.
`wander` gives a county a random year to count. Run by itself it holds the dashboard of a database
against its journal: `python tests/recount.py DATABASE DAY…`.
"""

import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path as FilePath
from random import Random

import county
from county import PAPER, County
from msgspec.structs import replace

from states.errors import CaseError
from states.vocabulary import FactKind, State, Trigger
from workflow import config, dashboard, db, engine, register

STATES = [str(state) for state in State]
CLOSED = "closed"
# How far along the line a state is: the steps it has behind it.
BEHIND = {
    "household_confirmation": 0,
    "equipment_selection": 1,
    "construction": 2,
    "acceptance": 3,
    "stable_season": 4,
    "removal_permitted": 5,
}
# These households only ever go onward, as most do.
STRAIGHT = county.CODES[4:7]
STEPS = ["confirm", "select", "complete", "accept", "permit"]


@dataclass
class Life:
    """One household up to a day, as its events tell."""

    code: str
    unit: str
    village: str
    path: str
    kind: str
    area: str
    quota: str
    state: str = "household_confirmation"
    steps: list[tuple[date, str, str, str]] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)

    def past(self, step: str) -> bool:
        """Whether the step is behind the household, which is not closed."""
        return self.state != CLOSED and BEHIND[self.state] > STEPS.index(step)


def bodies(place: County) -> list[tuple[int, bytes]]:
    """The bytes of every event by seq."""
    rows = place.sql("SELECT seq, body FROM journal ORDER BY seq")
    return [(int(str(seq)), body) for seq, body in rows if isinstance(body, bytes)]


class Recount:
    """Every household of a journal on a day, by what was recorded up to an instant."""

    def __init__(self, place: County, as_of: date, known_at: datetime | None = None) -> None:
        self.as_of = as_of
        self.lives: dict[str, Life] = {}
        self._registered: dict[str, Life] = {}
        self.seq = 0
        for seq, body in bodies(place):
            event = json.loads(body)
            if known_at is not None and datetime.fromisoformat(event["recorded_at"]) > known_at:
                continue
            self.seq = seq
            if event["stream"].startswith("case:"):
                self._take(event)

    def _take(self, event: dict[str, str | dict[str, str] | None]) -> None:
        on = date.fromisoformat(str(event["occurred_on"]))
        code = str(event["stream"]).removeprefix("case:")
        said = event["evidence"]
        assert isinstance(said, dict)
        if event["kind"] == "registered":
            keys = ("unit", "village", "path", "kind", "area", "quota")
            unit, village, path, kind, area, quota = (said[key] for key in keys)
            self._registered[code] = Life(code, unit, village, path, kind, area, quota)
        if on > self.as_of:
            return
        # Late paper may tell of a day before the registration.
        life = self.lives.setdefault(code, self._registered[code])
        if event["kind"] in ("amended", "change_path", "reinstate"):
            for key in ("village", "path", "kind", "area", "quota"):
                if said.get(key):
                    setattr(life, key, said[key])
        if event["from"]:
            assert life.state == event["from"]
            life.steps.append((on, str(event["kind"]), life.state, str(event["to"])))
            life.state = str(event["to"])
            if event["kind"] == "close":
                life.causes.append(said["cause"])

    def of(self, units: list[str] | None) -> list[Life]:
        """The households of these units."""
        return [one for one in self.lives.values() if units is None or one.unit in units]

    def stock(self, units: list[str] | None = None) -> Counter[str]:
        """How many are in each state."""
        return Counter(one.state for one in self.of(units))

    def edges(self, units: list[str] | None = None) -> dict[tuple[str, str, str], int]:
        """How often each step led from where to where."""
        return Counter(
            (kind, source, target)
            for one in self.of(units)
            for _, kind, source, target in one.steps
        )

    def done(self, unit: str, step: str) -> int:
        """How many of a unit have the step behind them."""
        return sum(one.past(step) for one in self.lives.values() if one.unit == unit)


def wander(place: County, seed: int, days: int = 300, *, works: bool = False) -> date:
    """Random orders, right, wrong and late ones, on random days of a year; answers the last day.

    With `works` the days of works are told beside the steps, and put right now and then.
    """
    random = Random(seed)
    day = county.LEDGER_IN
    end = day + timedelta(days=days)
    while True:
        day += timedelta(days=random.choice((0, 0, 0, 1, 2, 4, 9)))
        if day >= end:
            return day
        code = random.choice(county.CODES)
        back = random.choice((0, 0, 0, 1, 6))
        if works and random.random() < 0.3:
            _tell_works(place, random, code, day)
            continue
        if random.random() < 0.6 or code in STRAIGHT:
            order = _forward(place, code, day - timedelta(days=back))
        else:
            order = _aside(place, random, code, day)
        if random.random() < 0.5:
            order = replace(order, on=day - timedelta(days=back))
        with suppress(CaseError):
            login = county.usual_login(code, order.kind)
            engine.advance(place.database, order, login, county.noon(day))


def _tell_works(place: County, random: Random, code: str, day: date) -> None:
    """Some of the days of works, each a little after the one before; or one of them put right."""
    days = [day - timedelta(days=ago) for ago in sorted(random.sample(range(12), 3), reverse=True)]
    told = dict(zip(("started_on", "installed_on", "ready_on"), map(str, days), strict=True))
    pairs = [(key, told[key]) for key in random.sample([*told], random.choice((1, 1, 2, 3)))]
    order = county.make_order(code, FactKind.WORKS, *pairs, on=day)
    query = "SELECT MAX(seq) FROM journal WHERE kind = 'works' AND stream = ?"
    [(seq,)] = place.sql(query, f"case:{code}")
    if seq is not None and random.random() < 0.4:
        right = [("id", str(seq)), *pairs[:1]]
        kind, earlier = FactKind.CORRECT, day - timedelta(days=random.choice((0, 3)))
        order = county.make_order(code, kind, *right, on=earlier, files=[PAPER])
    with suppress(CaseError):
        login = county.usual_login(code, order.kind)
        engine.advance(place.database, order, login, county.noon(day))


def _forward(place: County, code: str, on: date) -> engine.Order:
    match place.state(code):
        case State.HOUSEHOLD_CONFIRMATION:
            return county.confirm(code, on)
        case State.EQUIPMENT_SELECTION:
            return county.select(code, on)
        case State.CONSTRUCTION:
            return county.complete(code, on)
        case State.ACCEPTANCE:
            return county.accept(code)
    return county.visit(code)


def _aside(place: County, random: Random, code: str, day: date) -> engine.Order:
    kinds: list[Trigger | FactKind] = [
        *(Trigger.REJECT, Trigger.OVERTURN, Trigger.REPLACE, Trigger.SEND_BACK, Trigger.CLOSE),
        *(Trigger.REINSTATE, Trigger.CHANGE_PATH, FactKind.FAULT, FactKind.VIOLATION),
        *(FactKind.OLD_FACILITY, FactKind.COMPLAINT, FactKind.VISIT, FactKind.CORRECT),
    ]
    kind = random.choice(kinds)
    pairs: list[tuple[str, str]] = []
    match kind:
        case Trigger.REJECT | Trigger.OVERTURN | Trigger.REPLACE:
            pairs = [("findings", "问题"), ("put_right_by", str(day + timedelta(days=20)))]
        case Trigger.CHANGE_PATH:
            pairs = [("path", "solar"), ("keep_device", "no"), ("quota", "over_plan")]
        case Trigger.REINSTATE:
            pairs = [("quota", random.choice(("planned", "over_plan")))]
        case Trigger.CLOSE:
            pairs = [
                ("cause", random.choice(("withdrawn", "refused"))),
                ("requested_by", "household"),
                ("document", "申请书"),
            ]
        case FactKind.FAULT | FactKind.COMPLAINT:
            pairs = [("what", "停热")]
        case FactKind.VIOLATION:
            pairs = [("type", "kang_sealed"), ("by", "村干部"), ("what", "封")]
        case FactKind.OLD_FACILITY:
            pairs = [("facility", "kang"), ("status", "removed"), ("by", "unknown")]
        case FactKind.VISIT:
            pairs = [("temperature", random.choice(("12", "21")))]
        case FactKind.CORRECT:
            query = "SELECT MAX(seq) FROM journal WHERE kind = 'fault' AND stream = ?"
            [(seq,)] = place.sql(query, f"case:{code}")
            pairs = [("id", str(seq or 1))]
    return county.make_order(code, kind, *pairs, files=[PAPER], reason="理由")


def off(file: FilePath, day: date) -> list[str]:
    """Which figures of the database's dashboard on a day are not those of its journal."""
    database = db.connect(str(file))
    with database.reading() as connection:
        today = config.reading_day(database, None, datetime.now().astimezone())
        clocks = config.clocks(today, day, None, outlook=False)
        plan = register.plan_in_force(connection)
        now = county.noon(today.today)
        board = dashboard.draw(connection, plan, clocks, today.today, now).board
    counted = Recount(County(file, database), day)
    database.close()
    edges = {(str(e.trigger), str(e.source), str(e.target)): e.times for e in board.flow.edges}
    pairs: dict[str, tuple[object, object]] = {
        "registered": (board.flow.registered, len(counted.lives)),
        "stock": ({str(s): n for s, n in board.flow.stock.items()}, counted.stock()),
        "edges": (edges, counted.edges()),
        "annex": (
            sum(line.planned for line in board.annex),
            sum(one.state != CLOSED and one.quota == "planned" for one in counted.lives.values()),
        ),
        "waiting": (board.season.waiting, counted.stock()["stable_season"]),
        "earliest": (
            sum(board.season.earliest.values()) + sum(board.season.never.values()),
            counted.stock()["stable_season"],
        ),
    }
    for line in board.units:
        for step, curve in line.curves.items():
            last = curve.actual[-1][1] if curve.actual else 0
            told = (curve.done, last)
            pairs[f"{line.code} {step}"] = (told, (counted.done(line.code, step),) * 2)
    return [
        f"{day} {name}: {ours} is {theirs} in the journal"
        for name, (ours, theirs) in pairs.items()
        if ours != theirs
    ]


if __name__ == "__main__":
    DATABASE, DAYS = FilePath(sys.argv[1]), map(date.fromisoformat, sys.argv[2:])
    sys.exit("\n".join(one for day in DAYS for one in off(DATABASE, day)) or None)
