"""The 通报 of a week, 旬 or month: where every unit stands, to unit heads and county office.

And the warning before it is too late: who the forecast says will hardly finish the works in time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, select

from notifications import figures, letters, notices
from notifications.notices import Bulletin, Point, Standing
from states import deadlines, schedule
from states.facts import Event, Works, fold
from states.plan import Plan, Unit
from states.vocabulary import Role, State, Trigger
from states.workdays import ONE_DAY, local_date
from workflow import (
    cases,
    dashboard,
    forecast,
    journal,
    messages,
    overdue,
    progress,
    register,
    tables,
)
from workflow.cases import CASE, Clocks, Position
from workflow.db import Database
from workflow.dispatch import EVENT, People
from workflow.due import NOTICE
from workflow.errors import NotPermitted
from workflow.forecast import Outlook
from workflow.journal import Line

READERS = frozenset({Role.UNIT_HEAD, Role.COUNTY_OFFICE})
WEEK = timedelta(days=7)
BUILT = frozenset({*deadlines.DONE, State.ACCEPTANCE})
_JOURNAL = tables.JOURNAL


class Period(StrEnum):
    """What a 通报 covers: seven days, a 旬 (1–10, 11–20, 21–end) or a month, cut at its day."""

    WEEK = "week"
    XUN = "旬"
    MONTH = "month"

    @property
    def label(self) -> str:
        """The word for it in a bulletin."""
        return {Period.WEEK: "周", Period.XUN: "旬", Period.MONTH: "月"}[self]

    def since(self, as_of: date) -> date:
        """The first day of the period that this day is in, or ends."""
        match self:
            case Period.WEEK:
                return as_of - WEEK + timedelta(days=1)
            case Period.XUN:
                return as_of.replace(day=1 + 10 * min((as_of.day - 1) // 10, 2))
            case Period.MONTH:
                return as_of.replace(day=1)


class Household(Struct, frozen=True):
    """A household behind the figures: which of them count it, its state and its deadline."""

    code: str
    unit: str
    village: str
    state: State
    since: date
    due_on: date | None
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
    # Only these have to be read: who is past the works has them, who never told of any has none.
    told = journal.cases_with_works(connection)
    open_works = [one.code for one in going if one.state not in BUILT and one.code in told]
    events = cases.load(connection, open_works, known_at=clocks.known_at, checked=False)
    until = clocks.as_of if clocks.past else None
    found = []
    for one in going:
        facts = fold(one.code, events.get(one.code, []), until)
        found.append(_household(one, facts.works if facts else Works(), clocks.as_of))
    return found


def household(code: str, events: Sequence[Event], plan: Plan, day: date) -> Household | None:
    """How one case counts on a past day by these of its events; None where it does not."""
    facts = fold(code, events, day)
    if facts is None:
        return None
    found = cases.position(facts, plan, day)
    return _household(found, facts.works, day)


def _household(one: Position, works: Works, as_of: date) -> Household:
    def by(day: date | None) -> bool:
        return day is not None and day <= as_of

    powered = one.state in BUILT or by(works.ready_on)
    installed = powered or by(works.installed_on)
    return Household(
        code=one.code,
        unit=one.unit,
        village=one.village,
        state=one.state,
        since=one.state_since,
        due_on=one.due_on,
        started=installed or by(works.started_on),
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
    """The 通报 of the period that ends with this day, of these units (None: all).

    Units are ranked only where all are shown. Raises NotPermitted for no units at all.
    """
    plan, clocks = register.plan_in_force(connection), clocks or Clocks(as_of)
    shown = [unit for unit in plan.units if units is None or unit.code in units]
    if not shown:
        raise NotPermitted(
            "这个责任单位不在您的办理范围内", place="--unit", remedy="不写 --unit，即您自己的单位"
        )
    lines = journal.lines(connection, clocks.known_at)
    foreseen = forecast.foresee(connection, plan, clocks, as_of, lines=lines)
    everywhere = foreseen.positions
    found = overdue.check(connection, plan, clocks, None, everywhere)
    late = {line.unit: line for line in found.by_unit}
    done = progress.of(plan, as_of, everywhere)
    since = period.since(as_of)
    gained = _accepted(connection, since, as_of, clocks.known_at)
    before = _done_on(connection, plan, since - ONE_DAY, clocks.known_at)
    ranked = ranking and units is None
    places = progress.ranks(plan, {one: late[one].done for one in late}) if ranked else {}
    works: dict[str, Counter[str]] = {unit.code: Counter() for unit in plan.units}
    for one in households(connection, plan, clocks, everywhere):
        works[one.unit].update(
            name for name in ("started", "installed", "powered") if getattr(one, name)
        )
    states: dict[str, Counter[State]] = {unit.code: Counter() for unit in plan.units}
    longest: Counter[str] = Counter()
    for position in everywhere:
        states[position.unit][position.state] += 1
        if position.overdue and position.due_on is not None:
            days = (as_of - position.due_on).days
            longest[position.unit] = max(longest[position.unit], days)
    building = as_of <= plan.phase("works").end
    standing = {}
    for unit in shown:
        steps, outlook = done.by_unit[unit.code].steps, foreseen.by_unit[unit.code]
        line = Standing(
            code=unit.code,
            unit_name=unit.name,
            task=unit.task,
            confirmed=steps[Trigger.CONFIRM].done,
            selected=steps[Trigger.SELECT].done,
            started=works[unit.code]["started"],
            installed=works[unit.code]["installed"],
            powered=works[unit.code]["powered"],
            completed=steps[Trigger.COMPLETE].done,
            accepted=late[unit.code].done,
            period_done=gained[unit.code],
            change=late[unit.code].done - before[unit.code],
            overdue=late[unit.code].overdue,
            at_risk=late[unit.code].at_risk,
            chance=figures.chance(outlook.p_construction),
            rank=places.get(unit.code),
            closed=states[unit.code][State.CLOSED],
            longest=longest[unit.code],
            by_state=tuple(states[unit.code][state] for state in State),
        )
        warned = building and _unlikely(outlook)
        standing[unit.code] = replace(line, note=letters.note(line, warned=warned))
    outlooks = {unit.code: foreseen.by_unit[unit.code] for unit in shown}
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
            townships=tuple(standing[u.code] for u in shown if u.kind == "township"),
            departments=tuple(standing[u.code] for u in shown if u.kind == "department"),
            remarks=_remarks(plan, outlooks, as_of),
            copies=(f"{plan.county}清洁取暖工作领导小组成员单位",),
            target_on=schedule.targets(plan)[Trigger.COMPLETE],
            course=_course(connection, plan, clocks, shown, everywhere, lines),
            scope=None if units is None else "、".join(unit.name for unit in shown),
        )
    )


def _course(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Sequence[Unit],
    positions: Sequence[Position],
    lines: Mapping[str, Line],
) -> tuple[Point, ...]:
    """Planned and built week by week, on the day asked for and on the day all should be built."""
    target = schedule.targets(plan)[Trigger.COMPLETE]
    until = max(target, clocks.as_of)
    days = {target, clocks.as_of}
    on = plan.effective_from
    while on <= until:
        days.add(on)
        on += WEEK
    ordered = sorted(day for day in days if day >= plan.effective_from)
    codes = {unit.code for unit in units}
    mine = [position for position in positions if position.unit in codes]
    past = [day for day in ordered if day <= clocks.as_of]
    actual: list[int | None] = [*dashboard.built(connection, clocks, mine, lines, past)]
    actual += [None] * (len(ordered) - len(past))
    return tuple(
        Point(
            on=day,
            planned=sum(schedule.planned(plan, u.task, Trigger.COMPLETE, day) for u in units),
            actual=households,
        )
        for day, households in zip(ordered, actual, strict=True)
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


def _remarks(plan: Plan, outlooks: Mapping[str, Outlook], as_of: date) -> tuple[str, ...]:
    told = []
    for code, outlook in outlooks.items():
        unit = plan.unit(code)
        if unit is not None and _unlikely(outlook):
            told.append(f"{unit.name}：{_outlook(outlook, plan, as_of)}。")
    return tuple(told)


def _unlikely(outlook: Outlook) -> bool:
    """Whether something is left to build and will hardly be in time."""
    return outlook.to_build > 0 and outlook.p_construction < forecast.WARN_BELOW


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
        foreseen = forecast.look_ahead(connection, plan, Clocks(today), today)
        year, week, _ = today.isocalendar()
        warned = [
            one
            for one in foreseen.by_unit.values()
            if _unlikely(one) and today <= plan.phase("works").end
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
