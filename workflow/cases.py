"""Cases read from the journal, as of any day and as known at any instant, and their projection."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ARRAY, Connection, Text, bindparam, func, select, text

from states import deadlines, guards_permit
from states.facts import GONE_WORDS, ONWARD, Actor, CaseFacts, Event, fold
from states.identity import PersonalData
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import Area, FactKind, Kind, Path, Quota, State, Trigger
from workflow import journal, register, tables
from workflow.errors import JournalBroken, NotPermitted
from workflow.journal import Line

T = TypeVar("T")
CASE = tables.HOUSEHOLD_CASE
_MARKS = [CASE.c[name] for name in ("code", "unit", "village", "path", "kind", "area", "quota")]
_KEY = tables.HOUSEHOLD_KEY
_PERSONAL = tables.PERSONAL
_HOLDERS = text("SELECT value, case_code FROM holders(:kind, :values)")
# What can be late: the steps that meet a deadline, and answers.
_IN_TIME = (*LEAD_TRIGGERS, FactKind.RESOLVE)


class Position(Struct, frozen=True):
    """Where a case stands on a day: a line of `case list`."""

    code: str
    unit: str
    unit_name: str
    village: str
    path: Path
    kind: Kind
    area: Area
    quota: Quota
    state: State
    state_since: date
    due_on: date | None
    plan_due_on: date | None
    target_on: date | None
    provisional: bool
    latest_start: date | None
    due_reason: str
    overdue: bool
    at_risk: bool
    select_on: date | None
    facility_gone: bool
    version: int


class Clocks(Struct, frozen=True):
    """What a reader asks for: true on a day, known at an instant; None means now."""

    as_of: date
    past: bool = False
    known_at: datetime | None = None

    @property
    def now(self) -> bool:
        """Whether the projections answer: nothing has to be left out."""
        return not self.past and self.known_at is None


def not_for_you(code: str) -> NotPermitted:
    """The same answer for a case that is not there and one that is not this officer's."""
    return NotPermitted(
        f"没有编号为 {code} 的户，或不在您的办理范围内",
        place=code,
        remedy="核对编号和账号；xianli case list 列出您可以办理的户",
    )


def holders(connection: Connection, kind: str, values: Sequence[str]) -> dict[str, str]:
    """The case that holds each of these meters, IDs or serials, by the value.

    On a server a case beyond the officer's scope is an empty text: that it is taken, no more.
    """
    held: dict[str, str] = {}
    for part in parts(values):
        if connection.dialect.name == "postgresql":
            rows = connection.execute(_HOLDERS, {"kind": kind, "values": list(part)})
        else:
            rows = connection.execute(_HOLDING, {"of_kind": kind, "values": part})
        held.update((value, code) for value, code in rows)
    return held


def projection(facts: CaseFacts, plan: Plan) -> dict[str, object]:
    """The columns of the case's row, but for its code and head hash."""
    due = deadlines.due(facts, plan)
    return {
        "unit": facts.unit,
        "village": facts.village,
        "path": facts.path,
        "kind": facts.kind,
        "area": facts.area,
        "quota": facts.quota,
        "state": facts.state,
        "state_since": facts.state_since,
        "version": facts.version,
        "due_on": due.due_on,
        "plan_due_on": due.plan_due_on,
        "due_reason": due.due_reason,
        "select_on": facts.select_on,
        "facility_gone": facts.facility_gone,
    }


def unverified_permission(facts: CaseFacts, plan: Plan, as_of: date) -> tuple[str, ...]:
    """What the case's permission rests on that nobody has verified; empty without one."""
    if facts.state is not State.REMOVAL_PERMITTED:
        return ()
    return guards_permit.unverified_basis(facts, plan, as_of)


def load(
    connection: Connection,
    codes: Sequence[str],
    *,
    known_at: datetime | None = None,
    until: date | None = None,
    checked: bool = True,
    persons: Mapping[str, str] | None = None,
) -> dict[str, list[Event]]:
    """The events of these cases; who only reads leaves the chains unchecked.

    `until` leaves out what can tell nothing of that day. `persons` are those behind the logins,
    where the caller knows them. Raises JournalBroken.
    """
    people = register.persons(connection) if persons is None else persons
    streams = [f"case:{code}" for code in codes]
    found = journal.read_streams(
        connection, streams, people, known_at=known_at, until=until, checked=checked
    )
    return {stream.removeprefix("case:"): events for stream, events in found.items() if events}


def facts_of(
    connection: Connection, code: str, who: Actor | None, clocks: Clocks
) -> tuple[CaseFacts, list[Event]]:
    """The facts and events of one case on these clocks.

    Raises NotPermitted when there is no such case for this officer.
    """
    events = load(connection, [code], known_at=clocks.known_at, checked=False).get(code, [])
    if not events and f"case:{code}" in journal.quarantined(connection):
        raise JournalBroken(
            f"{code} 已隔离，日志内容读不出来",
            place=f"case:{code}",
            remedy="查看纸质材料；见 xianli audit verify",
            code="quarantined",
        )
    facts = fold(code, events, clocks.as_of if clocks.past else None)
    if facts is None or (who is not None and not who.answers_for(facts.unit)):
        raise not_for_you(code)
    return facts, events


def lateness(events: Sequence[Event], plan: Plan) -> dict[int, int]:
    """By how many days each of a case's steps and answers came late, by its seq; only the late."""
    late = {}
    for place, event in enumerate(events[1:], start=1):
        if event.kind in _IN_TIME:
            before = fold(event.stream.removeprefix("case:"), events[:place])
            assert before is not None
            if days := deadlines.late_days(before, event, plan):
                late[event.seq] = days
    return late


def position(facts: CaseFacts, plan: Plan, as_of: date) -> Position:
    """Where the case stands, from its facts."""
    due = deadlines.due(facts, plan)
    return _position(
        facts.code,
        facts.unit,
        facts.village,
        (facts.path, facts.kind, facts.area, facts.quota),
        facts.state,
        facts.state_since,
        due,
        facts.select_on,
        facts.facility_gone,
        facts.version,
        plan,
        as_of,
    )


def _position(
    code: str,
    unit: str,
    village: str,
    marks: tuple[Path, Kind, Area, Quota],
    state: State,
    since: date,
    due: deadlines.Due,
    select_on: date | None,
    gone: bool,
    version: int,
    plan: Plan,
    as_of: date,
) -> Position:
    named = plan.unit(unit)
    path, kind, area, quota = marks
    return Position(
        code=code,
        unit=unit,
        unit_name=named.name if named else unit,
        village=village,
        path=path,
        kind=kind,
        area=area,
        quota=quota,
        state=state,
        state_since=since,
        due_on=due.due_on,
        plan_due_on=due.plan_due_on,
        target_on=deadlines.target_on(due.due_on, plan) if due.due_on else None,
        provisional=due.due_on is not None and deadlines.provisional(due.due_on, plan),
        latest_start=deadlines.latest_start(state, due.due_on, plan),
        due_reason=due.due_reason,
        overdue=deadlines.overdue(due.due_on, as_of),
        at_risk=deadlines.at_risk(state, due.due_on, as_of, plan),
        select_on=select_on,
        facility_gone=gone,
        version=version,
    )


def positions(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Iterable[str] | None = None,
    lines: Mapping[str, Line] | None = None,
) -> list[Position]:
    """Every case of these units (None: all) on these clocks, in the order of codes.

    `lines` are the journal's, where the caller has them already. Raises JournalBroken.
    """
    return list(each(connection, plan, clocks, units, lines))


def each(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Iterable[str] | None = None,
    lines: Mapping[str, Line] | None = None,
) -> Iterator[Position]:
    """The same, one after the other: today's are not all in memory at a time.

    Today's come from the projection, past ones from the journal; both go through the same rules.
    """
    wanted = None if units is None else set(units)
    if clocks.now:
        yield from _projected(connection, plan, clocks.as_of, wanted)
        return
    if lines is None:
        lines = journal.lines(connection, clocks.known_at)
    found = _past(connection, plan, clocks, wanted, lines)
    yield from sorted(found, key=lambda position: position.code)


def _past(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    wanted: set[str] | None,
    lines: Mapping[str, Line],
) -> list[Position]:
    """Cases that only went onward are read by their columns, all others are folded."""
    on = clocks.as_of if clocks.past else None
    saying = journal.cases_saying(connection, (Trigger.CONFIRM, Trigger.ACCEPT), GONE_WORDS)
    # What only went onward still has the marks it was registered with.
    rows = {
        code: (unit, village, tuple(marks))
        for code, unit, village, *marks in connection.execute(select(*_MARKS)).all()
    }
    folded, onward = [], []
    for code, line in lines.items():
        unit, village, marks = rows.get(code, ("", "", ()))
        if not marks or not line.onward_only or line.registered_on is None or code in saying:
            folded.append(code)
        elif (wanted is None or unit in wanted) and (on is None or line.begins_on <= on):
            onward.append((code, unit, village, marks, line, line.registered_on))
    alike: dict[tuple[object, ...], Position] = {}
    listed = []
    with _readable():
        for code, unit, village, marks, line, registered_on in onward:
            state, since, selected = _stood(line, registered_on, on)
            # Many cases stand alike, and the rules look at neither code nor village.
            key = (unit, marks, state, since, selected)
            if key not in alike:
                path, kind, area, quota = marks
                facts = CaseFacts(
                    code=code,
                    unit=unit,
                    village=village,
                    path=Path(path),
                    kind=Kind(kind),
                    area=Area(area),
                    quota=Quota(quota),
                    registered=0,
                    state=state,
                    state_since=since,
                    select_on=selected,
                )
                alike[key] = position(facts, plan, clocks.as_of)
            listed.append(replace(alike[key], code=code, village=village, version=line.version))
    histories = load(connection, folded, known_at=clocks.known_at, checked=False)
    for code, events in histories.items():
        found = fold(code, events, on)
        if found is not None and (wanted is None or found.unit in wanted):
            listed.append(position(found, plan, clocks.as_of))
    return listed


def _stood(line: Line, registered_on: date, on: date | None) -> tuple[State, date, date | None]:
    """The state on a day of a case that took each step of `ONWARD` once, since when, and the day of
    its selection."""
    state, since = State.HOUSEHOLD_CONFIRMATION, registered_on
    selected: date | None = None
    for trigger, day in zip(ONWARD, line.first, strict=True):
        if day is not None and (on is None or day <= on):
            state, since = ONWARD[trigger], day
            if trigger is Trigger.SELECT:
                selected = day
    return state, since, selected


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise JournalBroken(
            f"户表里有读不出来的值，可能被改动过：{error}",
            place="household_case",
            remedy="运行 xianli audit verify 查看哪一户",
        ) from error


_ROWS = select(
    *(CASE.c[name] for name in ("code", "village", "version")),
    *(CASE.c[name] for name in ("unit", "path", "kind", "area", "quota", "state", "state_since")),
    *(CASE.c[name] for name in ("due_on", "plan_due_on", "due_reason")),
    *(CASE.c[name] for name in ("select_on", "facility_gone")),
)
_ALIKE = 4096


def _projected(
    connection: Connection, plan: Plan, as_of: date, wanted: set[str] | None
) -> Iterator[Position]:
    # A server may sort by another language than ours.
    on_server = connection.dialect.name == "postgresql"
    query = _ROWS.order_by(CASE.c.code.collate("C") if on_server else CASE.c.code)
    if wanted is not None:
        query = query.where(CASE.c.unit.in_(wanted))
    stand = _alike(plan, as_of)
    with _readable():
        found = connection.execute(query, execution_options={"yield_per": _BATCH}).partitions()
        for code, village, version, *marks in chain.from_iterable(found):
            yield replace(stand(*marks), code=code, village=village, version=version)


def _alike(plan: Plan, as_of: date) -> Callable[..., Position]:
    """Where a case stands by its row: many stand alike, and the rules do not look at its name."""

    @lru_cache(maxsize=_ALIKE)
    def stand(
        unit: str,
        path: str,
        kind: str,
        area: str,
        quota: str,
        state: str,
        since: date,
        due_on: date | None,
        plan_due_on: date | None,
        due_reason: str,
        select_on: date | None,
        gone: bool,
    ) -> Position:
        return _position(
            "",
            unit,
            "",
            (Path(path), Kind(kind), Area(area), Quota(quota)),
            State(state),
            since,
            deadlines.Due(due_on, plan_due_on, due_reason),
            select_on,
            gone,
            0,
            plan,
            as_of,
        )

    return stand


def personal(
    connection: Connection, codes: Sequence[str] | None = None
) -> Mapping[str, PersonalData]:
    """The newest version of each household's personal data."""
    if codes is None:
        return {code: PersonalData(*told) for code, *told in connection.execute(_NEWEST)}
    found: dict[str, PersonalData] = {}
    query = _NEWEST_TOLD if journal.on_server(connection) else _NEWEST_OF
    for part in parts(codes):
        rows = connection.execute(query, {"codes": part})
        found.update((code, PersonalData(*told)) for code, *told in rows)
    return found


# The later version of a household comes later, and is the one that stays.
_NEWEST = select(
    _PERSONAL.c.case_code, *(_PERSONAL.c[name] for name in PersonalData.__struct_fields__)
).order_by(_PERSONAL.c.case_code, _PERSONAL.c.version)
_NEWEST_OF = _NEWEST.where(_PERSONAL.c.case_code.in_(bindparam("codes", expanding=True)))
_TOLD = func.personal_data(bindparam("codes", type_=ARRAY(Text))).table_valued(
    "case_code", "version", *PersonalData.__struct_fields__
)
_NEWEST_TOLD = select(
    _TOLD.c.case_code, *(_TOLD.c[name] for name in PersonalData.__struct_fields__)
).order_by(_TOLD.c.case_code, _TOLD.c.version)


def twins(connection: Connection, codes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Other open cases that hold the meter or ID of each of these cases."""
    papers = personal(connection, codes) if codes else {}
    meters = holders(connection, "meter", [p.meter for p in papers.values() if p.meter])
    ids = holders(connection, "id_number", [p.id_number for p in papers.values() if p.id_number])
    found = dict.fromkeys(codes, tuple[str, ...]())
    for code, paper in papers.items():
        others = {meters.get(paper.meter), ids.get(paper.id_number)} - {code}
        found[code] = tuple(sorted(other for other in others if other is not None))
    return found


def holding(connection: Connection, codes: Sequence[str], kind: str) -> dict[str, str]:
    """The values of a kind of key that these cases hold, and which of them does."""
    found: dict[str, str] = {}
    query = _HELD_TOLD if journal.on_server(connection) else _HELD
    for part in parts(codes):
        rows = connection.execute(query, {"of_kind": kind, "codes": part})
        found.update((value, code) for value, code in rows)
    return found


_PAIRS = select(_KEY.c.value, _KEY.c.case_code).where(_KEY.c.kind == bindparam("of_kind"))
_HOLDING = _PAIRS.where(_KEY.c.value.in_(bindparam("values", expanding=True)))
_HELD = _PAIRS.where(_KEY.c.case_code.in_(bindparam("codes", expanding=True)))
_HELD_TOLD = text("SELECT value, case_code FROM held(:of_kind, :codes)")


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """As many at a time as one statement takes."""
    left = iter(values)
    while part := list(islice(left, _BATCH)):
        yield part


_BATCH = 500


def annex_left(connection: Connection, facts: CaseFacts, path: Path, plan: Plan) -> int | None:
    """How many more planned cases of the path the unit's annex has room for, this one left out."""
    unit = plan.unit(facts.unit)
    tasks = unit.tasks if unit else ()
    task = next((t for t in tasks if t.covers(path, facts.kind, facts.area)), None)
    if task is None:
        return 0
    case = CASE.c
    query = (
        select(func.count())
        .select_from(CASE)
        .where(
            case.unit == facts.unit,
            case.path == path,
            case.quota == Quota.PLANNED,
            case.state != State.CLOSED,
            case.code != facts.code,
        )
    )
    if task.kind is not None:
        query = query.where(case.kind == task.kind)
    if task.area is not None:
        query = query.where(case.area == task.area)
    return task.households - connection.execute(query).scalar_one()
