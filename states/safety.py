"""The safety check: walks small counties with the real rules and looks for an unsafe permission.

From registration on, breadth first over the number of acts, every place that a case can come to:
state, day, evidence, restarts, who did what. Each act goes the way of the program (roles, guards
and machine, then a real event, folded). At every place the rules are compared with
`states.safety_oracle`, both ways, so the first difference found is also a shortest one.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from states import evidence as keys
from states import lifecycle, machine, safety_oracle, season
from states.errors import StepRefused
from states.evidence import Evidence
from states.facts import Attached, CaseFacts, Event, Milestone, fold
from states.plan import Json
from states.question import Question, Surroundings
from states.safety_oracle import Line
from states.safety_worlds import LI, OTHERS, WANG, WORLDS, Act, Pairs, World
from states.vocabulary import Area, FactKind, Kind, Path, Quota, State, Trigger
from states.workdays import ONE_DAY, SHANGHAI

PROPERTY = "凡走得到的情形，准许拆除当且仅当设计第四节逐条成立：" + "；".join(
    line.label for line in Line
)
_UNDER_WAY = (State.CONSTRUCTION, State.ACCEPTANCE)
_CODE = "01-0001"
_AROUND = Surroundings(models=dict.fromkeys(Path, frozenset({"M-1"})))


class Stride(Struct, frozen=True):
    """One act on the way to a fault: who did what, of which day, recorded when."""

    trigger: str
    to: State
    day: date
    recorded_on: date
    actor: str
    evidence: Mapping[str, Json]


class Walked(Struct, frozen=True):
    """What was walked of one world: places, acts tried there, lawful permissions granted."""

    name: str
    places: int
    transitions: int
    permissions: int


class Proof(Struct, frozen=True):
    """What the walk found; without a fault the way is empty and `broken` holds nothing.

    `broken` are the lines of the property that the last act of the way offends against.
    """

    worlds: tuple[Walked, ...]
    broken: tuple[Line, ...]
    counterexample: tuple[Stride, ...]

    @property
    def holds(self) -> bool:
        """Whether no place breaks the property."""
        return not self.broken

    @property
    def places(self) -> int:
        """All places walked."""
        return sum(world.places for world in self.worlds)

    @property
    def transitions(self) -> int:
        """All acts tried, those refused too."""
        return sum(world.transitions for world in self.worlds)

    @property
    def permissions(self) -> int:
        """All lawful permissions granted."""
        return sum(world.permissions for world in self.worlds)


class _Place(Struct, frozen=True):
    """Where a case has come to on a day of its world."""

    world: World
    today: date
    events: tuple[Event, ...]
    facts: CaseFacts


class _Fault(Exception):
    """The rules and the oracle differ; the last of the events is the act they differ about."""

    def __init__(self, lines: Sequence[Line], events: Sequence[Event]) -> None:
        super().__init__(lines)
        self.lines = tuple(dict.fromkeys(lines))
        self.events = tuple(events)


class _Walk:
    """One walk: the machine of the table as it stands, the places seen, what was counted."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self.machine = machine.build(lifecycle.STEPS)
        self.seen: dict[str, set[Hashable]] = {world.name: set() for world in worlds}
        self.tried: Counter[str] = Counter()
        self.permitted: Counter[str] = Counter()
        self.states: set[State] = set()

    def run(self, worlds: Sequence[World]) -> None:
        """Layer by layer: a day may pass within a layer, every act leads to the next one."""
        layer = [self._first(world) for world in worlds]
        while layer:
            following: list[_Place] = []
            # The list grows while it is walked: by the same places a day later.
            for place in layer:
                days = place.world.days
                if place.today < days[-1]:
                    later = replace(place, today=place.today + ONE_DAY)
                    if self._new(later):
                        layer.append(later)
                if place.facts.state not in self.states:
                    self.states.add(place.facts.state)
                    self._nothing_beside_the_table(place)
                for act in _acts(place):
                    reached = self._try(place, act)
                    if reached is not None and self._new(reached):
                        following.append(reached)
            layer = following

    def _first(self, world: World) -> _Place:
        line: dict[str, Json] = {
            "unit": "01",
            "village": "前村",
            "path": world.path,
            "kind": Kind.RESIDENTIAL,
            "area": Area.RURAL,
            "quota": Quota.PLANNED,
            "old_facilities": ["kang"],
            "holds": ["name", "meter"],
        }
        today = world.days[0]
        registered = _event((), Act("registered", WANG, today), today, line)
        events = (replace(registered, target=State.HOUSEHOLD_CONFIRMATION),)
        place = _Place(world, today, events, _folded(events))
        self._new(place)
        return place

    def _new(self, place: _Place) -> bool:
        seen, mark = self.seen[place.world.name], _mark(place)
        if mark in seen:
            return False
        seen.add(mark)
        _judge_place(place)
        return True

    def _try(self, place: _Place, act: Act) -> _Place | None:
        """The place that the act leads to; None where the rules refuse it. Raises _Fault."""
        name = place.world.name
        self.tried[name] += 1
        moved = self._decided(place, act)
        done = _event(place.events, act, place.today, moved.evidence if moved else {})
        if moved and moved.target:
            done = replace(done, source=place.facts.state, target=moved.target)
        lines = _offences(place, act, moved)
        if lines:
            raise _Fault(lines, (*place.events, done))
        if moved is None:
            return None
        self.permitted[name] += act.kind is Trigger.PERMIT
        events = (*place.events, done)
        return _Place(place.world, place.today, events, _folded(events))

    def _decided(self, place: _Place, act: Act) -> "_Done | None":
        """What the program would write for the act; None where it refuses."""
        facts, kind = place.facts, act.kind
        if not isinstance(kind, Trigger | FactKind):
            return _Done(act.ledger)
        given = machine.complete_evidence(facts, kind, _parsed(kind, act.pairs))
        answered = given.id if isinstance(given, keys.Resolve) else None
        if not lifecycle.permits(act.actor, kind, facts, answered):
            return None
        question = Question(
            facts=facts,
            plan=place.world.plan,
            today=place.today,
            on=act.on,
            evidence=given,
            attachments=frozenset(act.files),
            reason=act.reason,
            actor=act.actor,
            around=_AROUND,
            drill=place.world.drill,
        )
        evidence = keys.to_json(given)
        try:
            if isinstance(kind, Trigger):
                return _Done(evidence, machine.decide(kind, question, self.machine).target)
            machine.check_fact(kind, question)
        except StepRefused:
            return None
        right = machine.right_values(facts, given) if isinstance(given, keys.Correct) else None
        return _Done({**keys.to_json(right), **evidence} if right else evidence)

    def _nothing_beside_the_table(self, place: _Place) -> None:
        """The machine has no way on from this state that the table does not list."""
        for trigger in Trigger:
            if place.facts.state not in lifecycle.BY_TRIGGER[trigger].moves:
                act = Act(trigger, LI, place.today)
                if self._decided(place, act) is not None:
                    done = _event(place.events, act, place.today, {})
                    raise _Fault((Line.WAY,), (*place.events, done))


class _Done(Struct, frozen=True):
    """What the rules let pass: the evidence as the journal keeps it, and the move."""

    evidence: Mapping[str, Json]
    target: State | None = None


def walk(worlds: Sequence[World] = WORLDS) -> Proof:
    """Every reachable place of the worlds; of a broken rule, the fewest acts that show it."""
    walking = _Walk(worlds)
    broken: tuple[Line, ...] = ()
    way: tuple[Stride, ...] = ()
    try:
        walking.run(worlds)
    except _Fault as fault:
        broken, way = fault.lines, tuple(_strides(fault.events[1:]))
    walked = (
        Walked(
            world.name,
            len(walking.seen[world.name]),
            walking.tried[world.name],
            walking.permitted[world.name],
        )
        for world in worlds
    )
    return Proof(tuple(walked), broken, way)


def _acts(place: _Place) -> Iterator[Act]:
    """What is tried here: to permit, in some worlds by others and as of other days; its acts."""
    world, facts, today = place.world, place.facts, place.today
    if facts.state in lifecycle.BY_TRIGGER[Trigger.PERMIT].moves:
        yield Act(Trigger.PERMIT, LI, today)
        if world.by_others:
            yield Act(Trigger.PERMIT, LI, today - ONE_DAY)
            yield Act(Trigger.PERMIT, LI, today + ONE_DAY)
            for actor in OTHERS:
                yield Act(Trigger.PERMIT, actor, today)
    yield from world.acts(facts, today)


def _offences(place: _Place, act: Act, done: _Done | None) -> Sequence[Line]:
    """Where the rules and the oracle differ about an act."""
    if act.kind is Trigger.PERMIT:
        unmet = safety_oracle.unmet(
            place.events, place.world.plan, place.today, act.on, act.actor, drill=place.world.drill
        )
        if done:
            return unmet
        return () if unmet else (Line.LAWFUL,)
    if done is None:
        return ()
    if done.target is State.REMOVAL_PERMITTED:
        return (Line.WAY,)
    named = dict(act.pairs).get("id")
    if safety_oracle.own_work(place.events, act.kind, act.actor, int(named) if named else None):
        return (Line.SEPARATION,)
    return ()


def _judge_place(place: _Place) -> None:
    """What must be true at every place, whatever is tried there. Raises _Fault."""
    facts, events = place.facts, place.events
    lines = []
    if facts.state is not safety_oracle.state(events):
        lines.append(Line.LEDGER if events[-1].kind == "amended" else Line.WAY)
    if facts.clock_start != safety_oracle.clock_start(events):
        lines.append(Line.CLOCK)
    permitted = facts.permitted_on(place.today) is not None
    if permitted is not safety_oracle.in_force(events, place.today):
        lines.append(Line.FORCE)
    if lines:
        raise _Fault(lines, events)


def _mark(place: _Place) -> Hashable:
    """What tells places apart: all that the rules or the oracle can still ask about.

    Left out: the acceptance and readiness of before once there must be new ones, the path as such
    (only what the plan makes of it), and on which day in the middle of a season something was.
    """
    facts, world, today = place.facts, place.world, place.today
    in_use = facts.state in (State.STABLE_SEASON, State.REMOVAL_PERMITTED)
    ready = in_use or facts.state is State.ACCEPTANCE
    last = facts.last_step.occurred_on if facts.last_step else date.min
    return (
        today,
        facts.state,
        last if facts.state in _UNDER_WAY else in_use and last == today,
        facts.area,
        season.exempt(facts, world.plan),
        _position(world, facts.clock_start),
        _position(world, safety_oracle.clock_start(place.events)),
        _paper(world, facts.accepted) if in_use else None,
        _paper(world, facts.ready) if ready else None,
        facts.works_recorders if facts.state in _UNDER_WAY else None,
        tuple(facts.first_heats),
        safety_oracle.first_heats(place.events),
        tuple(sorted((f.on, f.repaired_on or date.max) for f in facts.faults)),
        tuple(
            (visit.on, visit.temperature, visit is facts.visits[0])
            for visit in sorted(facts.visits, key=lambda visit: (visit.on, visit.seq))
        ),
        frozenset((s.season, s.on) for s in facts.signatures),
        tuple((pause.on, pause.resumed_on) for pause in facts.pauses),
        tuple(
            (m.kind, m.severity, m.outcome, place.events[m.seq - 1].person) for m in facts.matters
        ),
        in_use and [p.day == today for p in facts.permissions[-1:]] == [True],
        tuple(sorted((f, record.status) for f, record in facts.facility_status.items())),
    )


def _paper(world: World, milestone: Milestone | None) -> Hashable:
    if milestone is None:
        return None
    return (
        _position(world, milestone.on),
        _position(world, milestone.recorded_on),
        milestone.person,
        milestone.documented,
    )


def _position(world: World, day: date | None) -> int | None:
    """Where a day lies among the first days of the seasons: before, on or after each."""
    if day is None:
        return None
    return sum((day >= first) + (day > first) for first in world.first_days)


def _event(before: Sequence[Event], act: Act, today: date, evidence: Mapping[str, Json]) -> Event:
    """The act as the journal would keep it, recorded soon after midnight in Shanghai."""
    seq = len(before) + 1
    return Event(
        seq=seq,
        stream=f"case:{_CODE}",
        version=seq,
        previous=None,
        kind=act.kind,
        source=None,
        target=None,
        occurred_on=act.on,
        recorded_at=_instant(today),
        actor=act.actor.login,
        person=act.actor.person,
        role=act.actor.role,
        reason=act.reason,
        evidence=evidence,
        attachments=tuple(Attached(name, "ab" * 32) for name in act.files),
        plan="ab" * 32,
        personal=None,
        hash=f"{seq:064x}",
    )


@cache
def _instant(today: date) -> datetime:
    # At this hour the date in UTC is still that of the day before.
    return datetime.combine(today, time(0, 30), SHANGHAI)


@cache
def _parsed(kind: Trigger | FactKind, pairs: Pairs) -> Evidence:
    return keys.parse(kind, pairs)


def _folded(events: Sequence[Event]) -> CaseFacts:
    facts = fold(_CODE, events)
    assert facts is not None
    return facts


def _strides(events: Sequence[Event]) -> Iterator[Stride]:
    state = State.HOUSEHOLD_CONFIRMATION
    for event in events:
        state = event.target or state
        yield Stride(
            str(event.kind),
            state,
            event.occurred_on,
            event.recorded_on,
            event.actor,
            event.evidence,
        )
