"""The week's 通报: where every unit stands, to the unit heads and the county office.

And the warning before it is too late: who the forecast says will hardly finish the works in time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, func, insert, select

from notifications import figures, notices
from notifications.notices import Bulletin, Standing
from states.plan import Plan, Unit
from states.vocabulary import Role, Trigger
from states.workdays import local_date
from workflow import forecast, messages, overdue, progress, register
from workflow.cases import CASE, Clocks
from workflow.db import Database
from workflow.dispatch import EVENT, People
from workflow.due import NOTICE
from workflow.forecast import Outlook
from workflow.models import JournalRow

READERS = frozenset({Role.UNIT_HEAD, Role.COUNTY_OFFICE})
WEEK = timedelta(days=7)
_JOURNAL = JournalRow.metadata.tables["journal"]


def bulletin(connection: Connection, as_of: date) -> messages.Document:
    """The 通报 of the week that ends with this day."""
    plan, clocks = register.plan_in_force(connection), Clocks(as_of)
    foreseen = forecast.foresee(connection, plan, clocks, as_of)
    found = overdue.check(connection, plan, clocks, None, foreseen.positions)
    done = progress.progress(connection, plan, clocks)
    since = as_of - WEEK + timedelta(days=1)
    week = _accepted(connection, since, as_of)
    late = {line.unit: line for line in found.by_unit}
    places = ranks(plan, done)
    standing = {
        unit.code: Standing(
            unit_name=unit.name,
            task=unit.task,
            confirmed=done.by_unit[unit.code].steps[Trigger.CONFIRM].done,
            selected=done.by_unit[unit.code].steps[Trigger.SELECT].done,
            started=None,
            completed=done.by_unit[unit.code].steps[Trigger.COMPLETE].done,
            accepted=late[unit.code].done,
            period_done=week[unit.code],
            overdue=late[unit.code].overdue,
            at_risk=late[unit.code].at_risk,
            chance=figures.chance(foreseen.by_unit[unit.code].p_construction)
            if unit.code in foreseen.by_unit
            else None,
            rank=places.get(unit.code),
        )
        for unit in plan.units
    }
    office = f"{plan.county}清洁取暖工作领导小组办公室"
    return notices.document(
        Bulletin(
            drill=register.is_drill(connection),
            unverified=() if plan.rules.lead_days.verified else ("各环节工作日数（有风险）",),
            number=None,
            issuer=office,
            addressee="各责任单位",
            since=since,
            as_of=as_of,
            issued_on=as_of,
            plan_title=plan.title,
            plan_document=plan.document,
            townships=tuple(standing[u.code] for u in plan.units if u.kind == "township"),
            departments=tuple(standing[u.code] for u in plan.units if u.kind == "department"),
            remarks=_remarks(plan, foreseen.by_unit, as_of),
            copies=(f"{plan.county}清洁取暖工作领导小组成员单位",),
        )
    )


def _accepted(connection: Connection, since: date, until: date) -> Counter[str]:
    """Acceptances from day to day, by unit; what was overturned counts when accepted again."""
    query = (
        select(CASE.c.unit, func.count())
        .join(_JOURNAL, _JOURNAL.c.stream == "case:" + CASE.c.code)
        .where(_JOURNAL.c.kind == Trigger.ACCEPT, _JOURNAL.c.occurred_on.between(since, until))
        .group_by(CASE.c.unit)
    )
    return Counter({row[0]: row[1] for row in connection.execute(query)})


def ranks(plan: Plan, done: progress.Progress) -> Mapping[str, int]:
    """The townships by the share of their task that is built; equals share a rank."""

    def share(unit: Unit) -> float:
        return done.by_unit[unit.code].steps[Trigger.COMPLETE].done / unit.task if unit.task else 1

    shares = {unit.code: share(unit) for unit in plan.units if unit.kind == "township"}
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
