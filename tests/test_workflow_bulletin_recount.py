"""Every figure of the bulletin, counted again from the bytes of the journal by other means."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import county
import pytest
from county import PAPER, County
from recount import bodies, wander

from notifications import notices
from notifications.notices import Bulletin, Standing
from states import deadlines, schedule
from states.vocabulary import FactKind, State, Trigger
from workflow import bulletin, bulletins
from workflow.bulletin import Period
from workflow.cases import Clocks

SEEDS = (1, 3, 12)
DAYS = (
    *(date(2023, 5, 22), date(2023, 6, 30), date(2023, 7, 20), date(2023, 9, 30)),
    *(date(2023, 10, 1), date(2023, 10, 15), date(2023, 11, 22), date(2024, 2, 20)),
)
LINE = [
    *("household_confirmation", "equipment_selection", "construction"),
    *("acceptance", "stable_season", "removal_permitted"),
]
AGAIN = {"reject", "overturn", "send_back", "reinstate", "change_path", "replace"}
TOWNSHIPS = ("101", "102")
Body = dict[str, object]


@dataclass
class Tale:
    """One household up to a day."""

    unit: str
    state: str = LINE[0]
    works: dict[str, str] = field(default_factory=dict)
    put_right: date | None = None

    @property
    def behind(self) -> int:
        return LINE.index(self.state) if self.state in LINE else -1

    def told(self, key: str, day: date) -> bool:
        return key in self.works and date.fromisoformat(self.works[key]) <= day

    def due(self) -> date | None:
        """The deadline as the notice has it: works by September, acceptance by 14 October."""
        if not 0 <= self.behind <= 3:
            return None
        phase = date(2023, 10, 14) if self.behind == 3 else date(2023, 9, 30)
        if self.put_right and (self.behind < 3 or self.put_right > phase):
            return self.put_right
        return phase


def events_of(place: County, seq: int | None, known_at: datetime | None) -> Iterator[Body]:
    """The events up to a seq or an instant, those put right with their right days and values."""
    found: dict[int, Body] = {}
    for number, body in bodies(place):
        event: Body = json.loads(body)
        late = known_at and datetime.fromisoformat(str(event["recorded_at"])) > known_at
        if (seq is not None and number > seq) or late:
            continue
        said = event["evidence"]
        if event["kind"] == "correct" and isinstance(said, dict):
            wrong = found[int(str(said["id"]))]
            right = {k: v for k, v in said.items() if k not in ("id", "late_document")}
            before = wrong["evidence"]
            assert isinstance(before, dict)
            assert wrong["kind"] != "registered"
            wrong |= {"evidence": before | right, "occurred_on": event["occurred_on"]}
        found[number] = event
    yield from found.values()


def tales(
    place: County, day: date, *, seq: int | None = None, known_at: datetime | None = None
) -> dict[str, Tale]:
    found: dict[str, Tale] = {}
    units: dict[str, str] = {}
    for event in events_of(place, seq, known_at):
        stream, kind, said = str(event["stream"]), str(event["kind"]), event["evidence"]
        assert isinstance(said, dict)
        if not stream.startswith("case:"):
            continue
        if kind == "registered":
            units[stream] = str(said["unit"])
        if date.fromisoformat(str(event["occurred_on"])) > day:
            continue
        tale = found.setdefault(stream, Tale(units[stream]))
        days = {k: v for k, v in said.items() if k in ("started_on", "installed_on", "ready_on")}
        if kind == "works":
            tale.works |= days
        if kind == "complete":
            tale.works = days
        if kind in AGAIN:
            tale.works = {}
        if event["to"] and kind != "registered":
            tale.state = str(event["to"])
        if kind in ("accept", "reinstate"):
            tale.put_right = None
        if said.get("put_right_by"):
            tale.put_right = date.fromisoformat(str(said["put_right_by"]))
    return found


def accepted_between(
    place: County, since: date, until: date, seq: int | None, known_at: datetime | None
) -> Counter[str]:
    """Acceptances by unit; one that was overturned counts again when it is accepted again."""
    units, found = {}, Counter[str]()
    for event in events_of(place, seq, known_at):
        said = event["evidence"]
        assert isinstance(said, dict)
        if event["kind"] == "registered":
            units[event["stream"]] = str(said["unit"])
        on = date.fromisoformat(str(event["occurred_on"]))
        if event["kind"] == "accept" and since <= on <= until:
            found[units[event["stream"]]] += 1
    return found


def counted(
    place: County,
    period: Period,
    day: date,
    *,
    seq: int | None = None,
    known_at: datetime | None = None,
) -> dict[str, dict[str, object]]:
    """What the bulletin of a day has to say of each unit."""
    plan = county.tiny_plan()
    then = tales(place, day, seq=seq, known_at=known_at)
    begins = {
        Period.WEEK: day - timedelta(days=6),
        Period.XUN: date(day.year, day.month, 1 if day.day < 11 else 11 if day.day < 21 else 21),
        Period.MONTH: date(day.year, day.month, 1),
    }[period]
    earlier = tales(place, begins - timedelta(days=1), seq=seq, known_at=known_at)
    gained = accepted_between(place, begins, day, seq, known_at)
    found: dict[str, dict[str, object]] = {}
    for unit in plan.units:
        mine = [one for one in then.values() if one.unit == unit.code]
        going = [one for one in mine if one.behind >= 0]
        built = [one for one in going if one.behind >= 3]
        powered = [one for one in going if one in built or one.told("ready_on", day)]
        installed = [one for one in going if one in powered or one.told("installed_on", day)]
        started = [one for one in going if one in installed or one.told("started_on", day)]
        accepted = sum(one.behind >= 4 for one in going)
        before = sum(one.behind >= 4 for one in earlier.values() if one.unit == unit.code)
        late = [(day - due).days for one in going if (due := one.due()) and due < day]
        found[unit.code] = {
            "task": unit.task,
            "confirmed": sum(one.behind >= 1 for one in going),
            "selected": sum(one.behind >= 2 for one in going),
            "started": len(started),
            "installed": len(installed),
            "powered": len(powered),
            "completed": len(built),
            "accepted": accepted,
            "period_done": gained[unit.code],
            "change": accepted - before,
            "overdue": len(late),
            "at_risk": sum(
                deadlines.at_risk(State(one.state), one.due(), day, plan) for one in going
            ),
            "longest": max(late, default=0),
            "closed": len(mine) - len(going),
            "by_state": tuple(sum(one.state == str(state) for one in mine) for state in State),
        }
    shares = {
        code: Fraction(int(str(found[code]["accepted"])), int(str(found[code]["task"])))
        for code in TOWNSHIPS
    }
    for code, figures in found.items():
        own = shares.get(code)
        better = [share for share in shares.values() if own is not None and share > own]
        figures["rank"] = 1 + len(better) if own is not None else None
    return found


def said(notice: Bulletin) -> dict[str, Standing]:
    return {str(one.code): one for one in (*notice.townships, *notice.departments)}


def assert_the_same(notice: Bulletin, expected: Mapping[str, Mapping[str, object]]) -> None:
    lines = said(notice)
    assert lines.keys() == expected.keys()
    for code, figures in expected.items():
        assert {key: getattr(lines[code], key) for key in figures} == figures, code


@pytest.fixture(scope="module")
def wandered(kept_by: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, County]:
    found = {}
    for seed in SEEDS:
        found[seed] = county.fresh(tmp_path_factory.mktemp(f"seed{seed}"))
        wander(found[seed], seed, works=True)
    return found


def made(place: County, period: Period, day: date, known_at: datetime | None = None) -> Bulletin:
    clocks = Clocks(day, past=True, known_at=known_at)
    with place.database.reading() as connection:
        notice = notices.read(bulletin.bulletin(connection, day, period, clocks=clocks))
    assert isinstance(notice, Bulletin)
    return notice


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_figure_of_a_past_day_is_that_of_the_journal(
    wandered: Mapping[int, County], seed: int, day: date
) -> None:
    place = wandered[seed]

    for period in Period:
        assert_the_same(made(place, period, day), counted(place, period, day))


def test_the_histories_have_what_the_figures_count(wandered: Mapping[int, County]) -> None:
    """Nothing is compared as nought with nought alone."""
    seen: Counter[str] = Counter()
    for place in wandered.values():
        for day in DAYS:
            for figures in counted(place, Period.MONTH, day).values():
                kinds = ("started", "installed", "powered", "completed", "closed", "overdue")
                seen.update(key for key in kinds if figures[key])
                seen["only started"] += figures["started"] != figures["installed"]
                seen["not yet powered"] += figures["installed"] != figures["powered"]
                seen["powered early"] += figures["powered"] != figures["completed"]
                seen["lost"] += int(str(figures["change"])) < 0
                seen["regained"] += figures["period_done"] != figures["change"]
                seen["at_risk"] += bool(figures["at_risk"])

    lacking = [key for key, times in seen.items() if not times]
    assert lacking == []
    assert sum(bool(place.sql(CORRECTED)) for place in wandered.values()) == len(SEEDS)


CORRECTED = (
    "SELECT 1 FROM journal c JOIN journal w ON c.stream = w.stream AND w.kind = 'works'"
    " WHERE c.kind = 'correct'"
)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_known_at_an_instant_is_counted_so(
    wandered: Mapping[int, County], seed: int
) -> None:
    place = wandered[seed]
    late = place.sql(
        "SELECT DISTINCT occurred_on FROM journal WHERE stream LIKE 'case:%'"
        " AND CAST(occurred_on AS TEXT) < substr(recorded_at, 1, 10) ORDER BY occurred_on"
    )
    differed = 0

    for (text,) in late[:12]:
        day = date.fromisoformat(str(text))
        instant = county.noon(day)
        expected = counted(place, Period.WEEK, day, known_at=instant)
        assert_the_same(made(place, Period.WEEK, day, instant), expected)
        differed += expected != counted(place, Period.WEEK, day)

    assert differed, "nothing was ever entered late"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_course_stands_every_week_where_the_journal_has_it(
    wandered: Mapping[int, County], seed: int
) -> None:
    place, plan = wandered[seed], county.tiny_plan()
    notice = made(place, Period.WEEK, DAYS[-1])

    assert notice.course is not None
    assert notice.as_of in {point.on for point in notice.course}
    for point in notice.course:
        then = tales(place, point.on)
        assert point.actual == sum(one.behind >= 3 for one in then.values())
        assert point.planned == sum(
            schedule.planned(plan, unit.task, Trigger.COMPLETE, point.on) for unit in plan.units
        )
    early = made(place, Period.WEEK, DAYS[2])
    assert early.course is not None
    assert {one.actual is None for one in early.course if one.on > DAYS[2]} == {True}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_unit_alone_has_the_same_figures_and_no_rank(
    wandered: Mapping[int, County], seed: int
) -> None:
    place = wandered[seed]
    day = DAYS[4]
    with place.database.reading() as connection:
        clocks = Clocks(day, past=True)
        document = bulletin.bulletin(connection, day, clocks=clocks, units=["102"])
    notice = notices.read(document)

    assert isinstance(notice, Bulletin)
    figures = counted(place, Period.WEEK, day)["102"] | {"rank": None}
    assert_the_same(notice, {"102": figures})
    assert notice.course is not None
    for point in notice.course:
        if point.on <= day:
            then = tales(place, point.on).values()
            assert point.actual == sum(one.behind >= 3 for one in then if one.unit == "102")
    assert "甲镇" not in str(document)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_published_bulletin_keeps_its_figures_and_compare_tells_the_new_ones(
    tmp_path: Path, seed: int
) -> None:
    """Frozen at its own event: what is recorded in the very same instant is not in it."""
    place = county.fresh(tmp_path)
    now = wander(place, seed, 200, works=True)
    day = now - timedelta(days=10)
    kept, _ = bulletins.publish(
        place.database, Period.MONTH, day, login="li", ranking=True, now=county.noon(now)
    )
    expected = counted(place, Period.MONTH, day, seq=kept.known_seq)
    assert_the_same(kept.notice, expected)

    # In the same instant; then corrections and late papers of days before the bulletin's.
    for code in county.CODES[:4]:
        pairs = ("started_on", str(day - timedelta(days=9))), ("installed_on", str(day))
        order = county.make_order(code, FactKind.WORKS, *pairs, on=day, files=[PAPER])
        place.carry_out([order], county.usual_login(code, FactKind.WORKS), now)
    later = now + timedelta(days=1)
    for seq, stream in place.sql("SELECT seq, stream FROM journal WHERE kind = 'works'"):
        wrong = ("id", str(seq)), ("started_on", str(day + timedelta(days=2)))
        code = str(stream).removeprefix("case:")
        order = county.make_order(code, FactKind.CORRECT, *wrong, on=day, files=[PAPER])
        place.carry_out([order], "li", later)
    going = next(code for code in county.CODES if place.state(code) is not State.CLOSED)
    place.advance(going, Trigger.CLOSE, later, *county.CLOSING, on=day)

    with place.database.reading() as connection:
        (again,) = bulletins.published(connection)
        found = bulletins.compare(connection, again)
    assert again == kept
    assert_the_same(again.notice, expected)
    becomes = counted(place, Period.MONTH, day)
    told = {(one.unit, one.figure): (one.was, one.becomes) for one in found.changes}
    assert told == {
        (code, key): (expected[code][key], becomes[code][key])
        for code in expected
        for key in expected[code]
        if expected[code][key] != becomes[code][key] and key not in ("by_state", "period_done")
    }
    assert told
    before = tales(place, day, seq=kept.known_seq)
    after = tales(place, day)
    changed = {
        stream
        for stream in after
        if figures_of(before.get(stream), day) != figures_of(after[stream], day)
    }
    assert changed == {f"case:{one.code}" for one in found.cases}
    assert not found.unexplained
    assert all(event.seq > kept.known_seq for one in found.cases for event in one.events)


def figures_of(one: Tale | None, day: date) -> object:
    if one is None or one.behind < 0:
        return None
    days = ("ready_on", "installed_on", "started_on")
    told = [any(one.told(key, day) for key in days[: upto + 1]) for upto in range(3)]
    return one.state, one.due(), one.behind >= 3 or told
