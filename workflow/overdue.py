"""What is late, what is about to be, and what to do next. Computed from dates, never counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select

from states import alarm, deadlines, evidence, lifecycle, machine
from states.deadlines import Deadline
from states.facts import Actor, CaseFacts, Event, fold
from states.plan import Plan
from states.question import Question, Surroundings
from states.vocabulary import FactKind, GateKind, Role, State, Trigger
from workflow import cases, journal, register, tables
from workflow.cases import Clocks, Position

_JOB = tables.JOB


class UnitPosition(Struct, frozen=True):
    """A unit's line in `check`."""

    unit: str
    unit_name: str
    task: int
    done: int
    overdue: int
    at_risk: int


class Alarm(Struct, frozen=True):
    """A household without both heats."""

    code: str
    unit: str
    why: str


class MatterDue(Struct, frozen=True):
    """An objection, complaint or violation of a case that waits for an answer."""

    code: str
    unit: str
    deadline: Deadline


class Check(Struct, frozen=True):
    """The deadline position of the county, or of one unit, on a day."""

    as_of: date
    cases: int
    overdue: int
    at_risk: int
    historic: int
    gravest: tuple[Alarm, ...]
    by_unit: tuple[UnitPosition, ...]
    late: tuple[Position, ...]
    risky: tuple[Position, ...]
    matters: tuple[MatterDue, ...]
    calendar_missing: int | None


class Todo(Struct, frozen=True):
    """A case that waits for somebody: the next trigger, and what is still missing for it."""

    code: str
    unit: str
    village: str
    trigger: Trigger
    due_on: date | None
    days_left: int | None
    missing: tuple[str, ...]
    provisional: bool


def check(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    units: Sequence[str] | None = None,
    positions: Sequence[Position] | None = None,
) -> Check:
    """What is overdue and at risk on these clocks, per unit; closed cases are left out.

    The gravest alarms look at closed cases too. `positions` are the county's on these clocks, where
    the caller has them already; else no more of them are kept than the answer names.
    """
    if positions is None:
        everything = cases.each(connection, plan, clocks, units)
    else:
        everything = (p for p in positions if units is None or p.unit in units)
    going = historic = 0
    done, overdue, at_risk = Counter[str](), Counter[str](), Counter[str]()
    late, risky, gone = [], [], {}
    for p in everything:
        if p.facility_gone:
            gone[p.code] = p.unit
        if p.state is State.CLOSED:
            continue
        going += 1
        historic += deadlines.missed_historic(p.state, p.select_on, plan, clocks.as_of)
        done[p.unit] += p.state in deadlines.DONE
        if p.overdue:
            overdue[p.unit] += 1
            late.append(p)
        if p.at_risk:
            at_risk[p.unit] += 1
            risky.append(p)
    by_unit = tuple(
        UnitPosition(
            unit.code,
            unit.name,
            unit.task,
            done[unit.code],
            overdue[unit.code],
            at_risk[unit.code],
        )
        for unit in plan.units
        if units is None or unit.code in units
    )
    return Check(
        as_of=clocks.as_of,
        cases=going,
        overdue=len(late),
        at_risk=len(risky),
        historic=historic,
        gravest=_alarms(connection, plan, clocks, gone),
        by_unit=by_unit,
        late=tuple(sorted(late, key=_urgency)),
        risky=tuple(sorted(risky, key=_urgency)),
        matters=tuple(
            matter
            for matter in matters(connection, plan, clocks, units)
            if deadlines.overdue(matter.deadline.due_on, clocks.as_of)
        ),
        calendar_missing=plan.calendar.missing(clocks.as_of),
    )


def matters(
    connection: Connection, plan: Plan, clocks: Clocks, units: Sequence[str] | None = None
) -> list[MatterDue]:
    """The clocks of every open matter of these units, the nearest first; closed cases too."""
    found = []
    for code, events in _histories(connection, clocks, journal.cases_with_matters(connection)):
        facts = fold(code, events, clocks.as_of)
        if facts is None or (units is not None and facts.unit not in units):
            continue
        found += [MatterDue(code, facts.unit, one) for one in deadlines.matters(facts, plan)]
    return sorted(found, key=lambda matter: (matter.deadline.due_on, matter.code))


def _urgency(position: Position) -> tuple[date, str]:
    return position.due_on or date.max, position.code


def _histories(
    connection: Connection, clocks: Clocks, codes: Iterable[str]
) -> Iterator[tuple[str, list[Event]]]:
    """The events of these cases, some cases at a time."""
    people = register.persons(connection)
    for part in cases.parts(codes):
        loaded = cases.load(
            connection, part, known_at=clocks.known_at, checked=False, persons=people
        )
        yield from loaded.items()


def _alarms(
    connection: Connection, plan: Plan, clocks: Clocks, gone: Mapping[str, str]
) -> tuple[Alarm, ...]:
    """The households without both heats among those whose old facility is gone, by their code."""
    found = []
    for code, events in _histories(connection, clocks, gone):
        facts = fold(code, events, clocks.as_of)
        ringing = alarm.gravest(facts, plan, clocks.as_of) if facts else None
        if ringing:
            found.append(Alarm(code, gone[code], ringing.why))
    return tuple(sorted(found, key=lambda alarm: alarm.code))


def todo(
    connection: Connection, plan: Plan, as_of: date, who: Actor | None, units: Sequence[str] | None
) -> list[Todo]:
    """What waits for this officer (None: for anybody), most urgent first.

    A case in its stable season is listed when something for its permission can be done today.
    """
    found = []
    around, drill = Around(connection), register.is_drill(connection)
    for position, trigger, facts in _waiting(connection, plan, Clocks(as_of), who, units):
        answer = machine.ask(trigger, around.question(facts, plan, trigger, as_of, drill))
        if trigger is Trigger.PERMIT and not _can_do_today(answer, who, as_of):
            continue
        missing = {key: None for reason in answer.reasons for key in reason.missing}
        due_on = position.due_on
        found.append(
            Todo(
                position.code,
                position.unit,
                position.village,
                trigger,
                due_on,
                (due_on - as_of).days if due_on else None,
                tuple(missing),
                position.provisional,
            )
        )
    return sorted(found, key=lambda item: (item.due_on or date.max, item.code))


def _waiting(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    who: Actor | None,
    units: Sequence[str] | None,
) -> Iterator[tuple[Position, Trigger, CaseFacts]]:
    """The cases whose next trigger is this officer's (None: anybody's), some at a time."""
    people = register.persons(connection)
    for part in cases.parts(cases.each(connection, plan, clocks, units)):
        mine = {}
        for position in part:
            trigger = lifecycle.FORWARD.get(position.state)
            if trigger is not None and _is_mine(who, trigger):
                mine[position.code] = position, trigger
        # A case under quarantine that cannot be read is left out: nothing can be done with it.
        histories = cases.load(connection, list(mine), checked=False, persons=people)
        for code, events in histories.items():
            facts = fold(code, events)
            assert facts is not None
            yield *mine[code], facts


def _is_mine(who: Actor | None, trigger: Trigger) -> bool:
    if who is None or who.role in lifecycle.roles_for(trigger):
        return True
    # Units collect the season's visits and signatures that a permission waits for.
    return trigger is Trigger.PERMIT and who.role in lifecycle.roles_for(FactKind.VISIT)


def _can_do_today(answer: machine.Answer, who: Actor | None, as_of: date) -> bool:
    if answer.possible:
        return who is None or who.role is Role.COUNTY_OFFICE
    roles = {r.who for r in answer.reasons if r.earliest is not None and r.earliest <= as_of}
    if who is None:
        return bool(roles - {None})
    return who.role in roles or (who.role is Role.UNIT_HEAD and Role.UNIT_OFFICER in roles)


class Around:
    """The surroundings of many questions about cases, each table read once."""

    def __init__(self, connection: Connection) -> None:
        self._gates = {
            (gate.unit, gate.village, gate.kind): gate.opened_on
            for gate in register.gates(connection)
        }
        self._models = register.models_by_path(connection)

    def question(
        self, facts: CaseFacts, plan: Plan, trigger: Trigger, today: date, drill: bool
    ) -> Question:
        """Whether the trigger could be pulled today with what is on record and nothing more."""
        kind = plan.path_rule(facts.path).gate
        opened = (
            None if kind is GateKind.NONE else self._gates.get((facts.unit, facts.village, kind))
        )
        empty = machine.complete_evidence(facts, trigger, evidence.parse(trigger, ()))
        return Question(
            facts=facts,
            plan=plan,
            today=today,
            on=today,
            evidence=empty,
            around=Surroundings(gate_opened_on=opened, models=self._models),
            drill=drill,
        )


def why(
    connection: Connection,
    code: str,
    trigger: Trigger | None,
    clocks: Clocks,
    who: Actor | None,
) -> tuple[machine.Answer, tuple[str, ...], bool]:
    """Whether the trigger could be pulled with nothing in hand, and everything it lacks.

    Without a trigger, the one that leads forward. Answers also what a permission would rest on
    unverified, and whether this is a drill. Judged by the plan known at the instant asked for.
    Asked by an officer of the right role, separation of persons counts too. Raises NotPermitted.
    """
    plan = register.plan_known_at(connection, clocks.known_at)
    drill = register.is_drill(connection)
    facts, _ = cases.facts_of(connection, code, who, clocks)
    asked = trigger or lifecycle.FORWARD.get(facts.state, Trigger.PERMIT)
    around = Around(connection)
    question = nothing_in_hand(connection, around, facts, plan, asked, clocks.as_of, drill)
    own = who if who is not None and who.role in lifecycle.roles_for(asked) else None
    question = replace(question, actor=own)
    unverified = machine.unverified(question) if asked is Trigger.PERMIT else ()
    return machine.ask(asked, question), unverified, drill


def nothing_in_hand(
    connection: Connection,
    around: Around,
    facts: CaseFacts,
    plan: Plan,
    trigger: Trigger,
    today: date,
    drill: bool,
) -> Question:
    """Whether the trigger could be pulled today, its look at other cases included."""
    question = around.question(facts, plan, trigger, today, drill)
    beside = question.around
    if trigger in (Trigger.CONFIRM, Trigger.REINSTATE):
        beside = replace(beside, twins=cases.twins(connection, [facts.code])[facts.code])
    if trigger in (Trigger.CHANGE_PATH, Trigger.REINSTATE):
        left = cases.annex_left(connection, facts, facts.path, plan)
        beside = replace(beside, annex_left=left)
    return replace(question, around=beside)


def is_served(connection: Connection) -> bool:
    """Whether a service has ever run on this database: whether one is missed when it is silent."""
    return connection.execute(select(_JOB.c.name).limit(1)).first() is not None
