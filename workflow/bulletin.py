"""The 通报 of a week, 旬 or month: where every unit stands, to unit heads and county office.

And the warning before it is too late: who the forecast says will hardly finish the works in time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from sqlalchemy import Connection, func, insert, select

from notifications import figures, notices
from notifications.notices import Bulletin, Standing
from states import deadlines
from states.facts import CaseFacts, Event, fold
from states.plan import Plan
from states.vocabulary import Role, State, Trigger
from states.workdays import local_date
from workflow import cases, forecast, messages, overdue, progress, register
from workflow.cases import CASE, Clocks, Position
from workflow.db import Database
from workflow.dispatch import EVENT, People
from workflow.due import NOTICE
from workflow.forecast import Outlook
from workflow.models import JournalRow

READERS = frozenset({Role.UNIT_HEAD, Role.COUNTY_OFFICE})
WEEK = timedelta(days=7)
ONE_DAY = timedelta(days=1)
BUILT = frozenset({*deadlines.DONE, State.ACCEPTANCE})
_JOURNAL = JournalRow.metadata.tables["journal"]


class Period(StrEnum):
    """What a 通报 covers: seven days, a 旬 (1–10, 11–20, 21–end) or a month, cut at its day."""

    WEEK = "week"
    XUN = "旬"
    MONTH = "month"

    def since(self, as_of: date) -> date:
        """The first day of the period that this day is in, or ends."""
        match self:
            case Period.WEEK:
                return as_of - WEEK + timedelta(days=1)
            case Period.XUN:
                return as_of.replace(day=1 + 10 * min((as_of.day - 1) // 10, 2))
            case Period.MONTH:
                return as_of.replace(day=1)


@dataclass(frozen=True, slots=True)
class Household:
    """A household behind the figures: which of them count it."""

    code: str
    unit: str
    village: str
    state: State
    started: bool
    installed: bool
    powered: bool
    accepted: bool
    overdue: bool


def households(
    connection: Connection, plan: Plan, clocks: Clocks, positions: Sequence[Position]
) -> list[Household]:
    """What of each case that is not closed counts on these clocks.

    Works count by the days that the journal gives them; a household past the step has them all.
    """
    going = [position for position in positions if position.state is not State.CLOSED]
    events = cases.load(
        connection, [one.code for one in going], known_at=clocks.known_at, checked=False
    )
    until = clocks.as_of if clocks.past else None
    found = []
    for one in going:
        facts = fold(one.code, events.get(one.code, []), until)
        if facts is not None:
            found.append(_household(one, facts, clocks.as_of))
    return found


def household(
    code: str, events: Sequence[Event], plan: Plan, day: date
) -> tuple[State, Household] | None:
    """How one case counts on a past day by these of its events; None where it does not."""
    facts = fold(code, events, day)
    if facts is None:
        return None
    found = cases.position(facts, plan, day)
    return found.state, _household(found, facts, day)


def _household(one: Position, facts: CaseFacts, as_of: date) -> Household:
    works = facts.works
    built = one.state in BUILT

    def by(day: date | None) -> bool:
        return day is not None and day <= as_of

    powered = built or (works is not None and by(works.ready_on))
    installed = powered or (works is not None and by(works.installed_on))
    return Household(
        code=one.code,
        unit=one.unit,
        village=one.village,
        state=one.state,
        started=installed or (works is not None and by(works.started_on)),
        installed=installed,
        powered=powered,
        accepted=one.state in deadlines.DONE,
        overdue=one.overdue,
    )


def bulletin(
    connection: Connection,
    as_of: date,
    period: Period = Period.WEEK,
    *,
    clocks: Clocks | None = None,
    ranking: bool = True,
    number: str | None = None,
    issued_on: date | None = None,
    units: Sequence[str] | None = None,
) -> messages.Document:
    """The 通报 of the period that ends with this day, of these units (None: all)."""
    plan, clocks = register.plan_in_force(connection), clocks or Clocks(as_of)
    foreseen = forecast.foresee(connection, plan, clocks, as_of)
    found = overdue.check(connection, plan, clocks, None, foreseen.positions)
    done = progress.progress(connection, plan, clocks)
    since = period.since(as_of)
    gained = _accepted(connection, since, as_of, clocks.known_at)
    before = _done_on(connection, plan, since - ONE_DAY, clocks.known_at)
    late = {line.unit: line for line in found.by_unit}
    places = (
        ranks(plan, {code: line.done for code, line in late.items()})
        if ranking and units is None
        else {}
    )
    works: dict[str, Counter[str]] = {unit.code: Counter() for unit in plan.units}
    everything = cases.positions(connection, plan, clocks)
    for one in households(connection, plan, clocks, everything):
        works[one.unit].update(
            name for name in ("started", "installed", "powered") if getattr(one, name)
        )
    standing = {
        unit.code: Standing(
            unit_name=unit.name,
            task=unit.task,
            confirmed=done.by_unit[unit.code].steps[Trigger.CONFIRM].done,
            selected=done.by_unit[unit.code].steps[Trigger.SELECT].done,
            started=works[unit.code]["started"],
            completed=done.by_unit[unit.code].steps[Trigger.COMPLETE].done,
            accepted=late[unit.code].done,
            period_done=gained[unit.code],
            overdue=late[unit.code].overdue,
            at_risk=late[unit.code].at_risk,
            chance=figures.chance(foreseen.by_unit[unit.code].p_construction)
            if unit.code in foreseen.by_unit
            else None,
            rank=places.get(unit.code),
            installed=works[unit.code]["installed"],
            powered=works[unit.code]["powered"],
            change=late[unit.code].done - before[unit.code],
            note="超任务" if late[unit.code].done > unit.task else None,
        )
        for unit in plan.units
        if units is None or unit.code in units
    }
    lines = [unit for unit in plan.units if unit.code in standing]
    outlooks = {code: one for code, one in foreseen.by_unit.items() if code in standing}
    office = f"{plan.county}清洁取暖工作领导小组办公室"
    return notices.document(
        Bulletin(
            drill=register.is_drill(connection),
            unverified=() if plan.rules.lead_days.verified else ("各环节工作日数（有风险）",),
            number=number,
            issuer=office,
            addressee="各责任单位",
            since=since,
            as_of=as_of,
            issued_on=issued_on or as_of,
            plan_title=plan.title,
            plan_document=plan.document,
            townships=tuple(standing[u.code] for u in lines if u.kind == "township"),
            departments=tuple(standing[u.code] for u in lines if u.kind == "department"),
            remarks=_remarks(plan, outlooks, as_of),
            copies=(f"{plan.county}清洁取暖工作领导小组成员单位",),
        )
    )


def _done_on(
    connection: Connection, plan: Plan, day: date, known_at: datetime | None
) -> Counter[str]:
    """The households accepted on a past day, as they are known at the same instant."""
    then = cases.positions(connection, plan, Clocks(day, past=True, known_at=known_at))
    return Counter(one.unit for one in then if one.state in deadlines.DONE)


def _accepted(
    connection: Connection, since: date, until: date, known_at: datetime | None
) -> Counter[str]:
    """Acceptances from day to day, by unit; what was overturned counts when accepted again."""
    query = (
        select(CASE.c.unit, func.count())
        .join(_JOURNAL, _JOURNAL.c.stream == "case:" + CASE.c.code)
        .where(_JOURNAL.c.kind == Trigger.ACCEPT, _JOURNAL.c.occurred_on.between(since, until))
        .group_by(CASE.c.unit)
    )
    if known_at is not None:
        query = query.where(_JOURNAL.c.recorded_at <= known_at)
    return Counter({row[0]: row[1] for row in connection.execute(query)})


def ranks(plan: Plan, households: Mapping[str, int]) -> Mapping[str, int]:
    """The townships by what share of their task these households are; equals share a rank."""
    shares = {
        unit.code: Fraction(households[unit.code], unit.task)
        for unit in plan.units
        if unit.kind == "township" and unit.task
    }
    return {
        code: 1 + sum(other > mine for other in shares.values()) for code, mine in shares.items()
    }


def _remarks(plan: Plan, outlooks: Mapping[str, Outlook], as_of: date) -> tuple[str, ...]:
    told = []
    for code, outlook in outlooks.items():
        unit = plan.unit(code)
        if unit is not None and outlook.to_build and outlook.p_construction < forecast.WARN_BELOW:
            told.append(f"{unit.name}：{_outlook(outlook, plan, as_of)}。")
    return tuple(told)


def _outlook(outlook: Outlook, plan: Plan, as_of: date) -> str:
    end = plan.phase("works").end
    late = f"施工期限（{notices.day(end)}）已过" if as_of > end else ""
    chance = late or f"按期完工的概率 {figures.chance(outlook.p_construction)}"
    expected = f"{notices.day(outlook.expected)}完工" if outlook.expected else "四十周内难以完工"
    pace = f"近四周每周完成 {outlook.pace_shown:g} 户"
    if outlook.pace_needed is not None:
        pace = f"每周需完成 {outlook.pace_needed:g} 户，{pace}"
    return f"{chance}，预计{expected}；还有 {outlook.to_build} 户未完工，{pace}"


def publish(database: Database, now: datetime) -> list[str]:
    """Queues the week's 通报 to each reader, once a day at most; answers the keys."""
    today = local_date(now)
    with database.transaction() as connection:
        people = People(connection)
        readers = {
            person.person: person
            for unit in register.plan_in_force(connection).units
            for person in people.told(unit.code, READERS)
        }
        document = bulletin(connection, today)
        addressed = [(f"bulletin:{today}:{one}", readers[one], document) for one in readers]
        return messages.queue(connection, addressed, now)


def warn(database: Database, now: datetime) -> list[str]:
    """Notes for the next digest who will hardly finish in time; once a week for each unit.

    Told to the unit's head and the county office. Answers the units.
    """
    today = local_date(now)
    with database.transaction() as connection:
        plan, people = register.plan_in_force(connection), People(connection)
        foreseen = forecast.foresee(connection, plan, Clocks(today), today)
        year, week, _ = today.isocalendar()
        warned = [
            one
            for one in foreseen.by_unit.values()
            if one.to_build
            and one.p_construction < forecast.WARN_BELOW
            and today <= plan.phase("works").end
        ]
        rows: list[dict[str, object]] = [
            {
                "key": f"forecast:{one.unit}|{year}-W{week:02}|{person.person}",
                "person": person.person,
                "case_code": one.unit,
                "unit": one.unit,
                "deadline": None,
                "rung": EVENT,
                "due_on": None,
                "told": _outlook(one, plan, today),
                "created_at": now,
                "message": None,
                "dropped": False,
            }
            for one in warned
            for person in people.told(one.unit, READERS)
        ]
        _note(connection, rows)
    return [one.unit for one in warned]


def _note(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    known = set(
        connection.execute(
            select(NOTICE.c.key).where(NOTICE.c.key.in_([row["key"] for row in rows]))
        ).scalars()
    )
    new = [row for row in rows if row["key"] not in known]
    if new:
        connection.execute(insert(NOTICE), new)
