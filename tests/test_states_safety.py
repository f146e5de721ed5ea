"""The safety check itself: the rules hold, and each fault seeded into them is found.

A fault changes the real rules in one place: a row of the table, or one piece of one function's
source. A piece that is not there exactly once fails the test, so no fault goes stale unseen.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from types import FunctionType, ModuleType

import pytest
from msgspec.structs import replace

from states import (
    facts,
    guards_acceptance,
    guards_facts,
    guards_permit,
    lifecycle,
    machine,
    safety,
    safety_oracle,
    safety_worlds,
    season,
)
from states.facts import CaseFacts, Matter
from states.lifecycle import Step
from states.question import Guard
from states.safety import Proof
from states.safety_oracle import Line
from states.safety_worlds import Act, World
from states.vocabulary import FactKind, Role, State, Trigger

S, T = State, Trigger
CLOCK, PAPERS, HEAT, SUMS = "起算与重来", "补录", "停热", "累计停热"
VISITS, MATTERS, WINTERS, GAP = "测温与签字", "未销号事项与职责", "两个采暖季", "中间一季日期未知"
PATHS, UNVERIFIED, LEDGER = "豁免路径", "采暖季未核实", "台账导入"
Break = Callable[[pytest.MonkeyPatch], None]


def walked(*names: str) -> Proof:
    """The walk through these worlds only."""
    return safety.walk([world for world in safety_worlds.WORLDS if world.name in names])


# Seeding a fault ------------------------------------------------------------------------------


def rewritten(of: FunctionType, old: str, new: str) -> object:
    """The function of the real source with one piece of it replaced."""
    source = textwrap.dedent(inspect.getsource(of))
    assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
    scope = dict(of.__globals__)
    exec(compile(source.replace(old, new), inspect.getsourcefile(of) or "", "exec"), scope)
    return scope[of.__name__]


def function(module: ModuleType | type, name: str, old: str, new: str) -> Break:
    """One piece of a function, or of a property of a class, replaced."""

    def seed(monkeypatch: pytest.MonkeyPatch) -> None:
        found = inspect.getattr_static(module, name)
        within = found.fget if isinstance(found, property) else found
        assert callable(within)
        # What a cache keeps of the right function is no matter: the other has none yet.
        of = inspect.unwrap(within)
        assert isinstance(of, FunctionType)
        monkeypatch.setattr(module, name, rewritten(of, old, new))

    return seed


def table(trigger: Trigger, change: Callable[[Step], Step]) -> Break:
    """One row of the table changed."""
    return lambda monkeypatch: rows(
        monkeypatch, [change(s) if s.trigger is trigger else s for s in lifecycle.STEPS]
    )


def rows(monkeypatch: pytest.MonkeyPatch, steps: Iterable[Step]) -> None:
    """The table with these rows."""
    monkeypatch.setattr(lifecycle, "STEPS", tuple(steps))
    by_trigger = {step.trigger: step for step in lifecycle.STEPS}
    monkeypatch.setattr(lifecycle, "BY_TRIGGER", by_trigger)


def edge(trigger: Trigger, source: State, target: State) -> Break:
    """One more way, or another one."""
    return table(trigger, lambda step: replace(step, moves={**step.moves, source: target}))


def without(guard: Guard) -> Break:
    """The row of `permit` without one of its guards."""

    def change(step: Step) -> Step:
        assert guard in step.guards
        return replace(step, guards=tuple(g for g in step.guards if g is not guard))

    return table(T.PERMIT, change)


def guard(of: Guard, old: str, new: str) -> Break:
    """One piece of a guard replaced, wherever the tables name it."""

    def seed(monkeypatch: pytest.MonkeyPatch) -> None:
        assert isinstance(of, FunctionType)
        broken = rewritten(of, old, new)
        assert callable(broken)

        def swapped(guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
            return tuple(broken if g is of else g for g in guards)

        rows(monkeypatch, [replace(s, guards=swapped(s.guards)) for s in lifecycle.STEPS])
        by_fact = {k: replace(r, guards=swapped(r.guards)) for k, r in lifecycle.BY_FACT.items()}
        monkeypatch.setattr(lifecycle, "BY_FACT", by_fact)

    return seed


# The faults: what is broken, where it shows, which line it offends against ---------------------

P, A, R = guards_permit, guards_acceptance, guards_facts
DROPPED: dict[Guard, tuple[str, Line]] = {
    P.season_served: (CLOCK, Line.SEASONS),
    P.season_verified: (UNVERIFIED, Line.VERIFIED),
    P.no_long_outage: (HEAT, Line.SINGLE),
    P.outages_within_total: (SUMS, Line.TOTAL),
    P.heat_on_today: (HEAT, Line.HEAT_TODAY),
    P.first_heat_known: (CLOCK, Line.FIRST_HEAT),
    P.warm_visits_made: (VISITS, Line.VISITS),
    P.season_signed: (CLOCK, Line.SIGNED),
    P.recorded_in_time: (PAPERS, Line.PAPERS),
    P.nothing_open: (MATTERS, Line.MATTERS),
    P.permitted_by_another: (MATTERS, Line.PERMITTER),
    P.permitted_today: (MATTERS, Line.TODAY),
}
FAULTS: dict[str, tuple[Break, str, Line]] = {
    # The table
    "straight from confirming": (
        edge(T.CONFIRM, S.HOUSEHOLD_CONFIRMATION, S.REMOVAL_PERMITTED),
        CLOCK,
        Line.WAY,
    ),
    "acceptance permits": (edge(T.ACCEPT, S.ACCEPTANCE, S.REMOVAL_PERMITTED), CLOCK, Line.WAY),
    "reinstated as permitted": (edge(T.REINSTATE, S.CLOSED, S.REMOVAL_PERMITTED), CLOCK, Line.WAY),
    "permit before acceptance": (
        edge(T.PERMIT, S.ACCEPTANCE, S.REMOVAL_PERMITTED),
        CLOCK,
        Line.WAY,
    ),
    "a second trigger under all conditions": (
        table(
            T.REPLACE,
            lambda step: replace(
                step,
                moves={S.STABLE_SEASON: S.REMOVAL_PERMITTED},
                guards=(*step.guards, *lifecycle.BY_TRIGGER[T.PERMIT].guards),
            ),
        ),
        CLOCK,
        Line.WAY,
    ),
    "the acceptor permits": (
        table(T.PERMIT, lambda step: replace(step, roles=(*step.roles, Role.ACCEPTOR))),
        MATTERS,
        Line.WAY,
    ),
    "the unit head permits": (
        table(T.PERMIT, lambda step: replace(step, roles=(*step.roles, Role.UNIT_HEAD))),
        MATTERS,
        Line.WAY,
    ),
    "nobody permits": (table(T.PERMIT, lambda step: replace(step, roles=())), CLOCK, Line.LAWFUL),
    # Point 1
    "the exemption is inverted": (
        function(season, "exempt", " in ", " not in "),
        PATHS,
        Line.SEASONS,
    ),
    "every path is exempt": (
        function(season, "exempt", "facts.path in", "facts.path in facts.path or"),
        PATHS,
        Line.SEASONS,
    ),
    # Point 2
    "the season counts from before acceptance": (
        function(CaseFacts, "clock_start", "self.accepted.on, ", ""),
        CLOCK,
        Line.CLOCK,
    ),
    "readiness does not count": (
        function(CaseFacts, "clock_start", "self.ready.on, ", ""),
        CLOCK,
        Line.CLOCK,
    ),
    "the first acceptance counts": (
        function(
            facts,
            "_step",
            "facts.accepted = _milestone",
            "facts.accepted = facts.accepted or _milestone",
        ),
        CLOCK,
        Line.CLOCK,
    ),
    "overturn does not restart": (
        function(facts, "_step", "Trigger.OVERTURN | ", ""),
        CLOCK,
        Line.CLOCK,
    ),
    "replace does not restart": (
        function(facts, "_step", "Trigger.REPLACE | ", ""),
        CLOCK,
        Line.CLOCK,
    ),
    "reinstate does not restart": (
        function(facts, "_step", "Trigger.REINSTATE | ", ""),
        CLOCK,
        Line.CLOCK,
    ),
    "revoke does not restart": (
        function(facts, "_step", " | Trigger.REVOKE:", ":"),
        CLOCK,
        Line.CLOCK,
    ),
    "change_path does not restart": (
        function(facts, "_step", "if trigger is Trigger.CHANGE_PATH:", "if False:"),
        CLOCK,
        Line.CLOCK,
    ),
    "a paper fault restarts": (
        function(facts, "_step", "== RevokeCause.PAPER_FAULT", "is None"),
        CLOCK,
        Line.CLOCK,
    ),
    "the first day does not count": (
        function(season, "window", "clock <= decisive[0]", "clock < decisive[0]"),
        CLOCK,
        Line.LAWFUL,
    ),
    "a day after the first counts": (
        function(
            season, "window", "clock <= decisive[0].first_day", "clock <= decisive[0].last_day"
        ),
        CLOCK,
        Line.SEASONS,
    ),
    "a season has ended on its last day": (
        function(season, "_latest_ended", "s.last_day < today", "s.last_day <= today"),
        CLOCK,
        Line.LAWFUL,
    ),
    "one season of two is enough": (
        function(season, "_runs_of", "number = plan.rules.required_seasons.value", "number = 1"),
        WINTERS,
        Line.SEASONS,
    ),
    "seasons need not be consecutive": (
        function(
            season, "_runs_of", "b.start_year == a.start_year + 1", "b.start_year > a.start_year"
        ),
        GAP,
        Line.SEASONS,
    ),
    "an older season will do": (
        function(
            season, "_latest_ended", "run[-1].last_day == last", "last and run[-1].last_day <= last"
        ),
        PAPERS,
        Line.SIGNED,
    ),
    # Point 3
    "a day over the limit passes": (
        guard(P.no_long_outage, "longest > limit", "longest > limit + 1"),
        HEAT,
        Line.SINGLE,
    ),
    "the limit itself is refused": (
        guard(P.no_long_outage, "longest > limit", "longest >= limit"),
        HEAT,
        Line.LAWFUL,
    ),
    "outages are not added up": (
        guard(
            P.outages_within_total,
            "total = sum(season.outages(question.facts, question.plan, dated, question.today))",
            "total = max([0, *season.outages(question.facts, question.plan, dated, question.on)])",
        ),
        SUMS,
        Line.TOTAL,
    ),
    "the sum at its limit is refused": (
        guard(P.outages_within_total, "total > limit", "total >= limit"),
        SUMS,
        Line.LAWFUL,
    ),
    "the repair day counts": (
        function(season, "outage_spans", "ends - ONE_DAY if ends", "ends if ends"),
        HEAT,
        Line.LAWFUL,
    ),
    "a pause takes outage days away": (
        function(
            season,
            "outage_spans",
            "days.add(day)",
            "days.update(() if any(pause.on <= day for pause in facts.pauses) else [day])",
        ),
        SUMS,
        Line.SINGLE,
    ),
    "a cold visit is no outage": (
        function(season, "_spells", "yield from _cold_spells(facts, plan)", "yield from ()"),
        HEAT,
        Line.SINGLE,
    ),
    "a cold house today is no outage": (
        function(season, "outage_open", "if ends is None", "if False"),
        HEAT,
        Line.HEAT_TODAY,
    ),
    "any visit ends a cold spell": (
        function(
            season,
            "_cold_spells",
            "if not warm(visit, plan):",
            "if not warm(visit, plan) and cold_since is None:",
        ),
        HEAT,
        Line.SINGLE,
    ),
    "late first heat is no outage": (
        function(season, "_spells", "heat and", "False and"),
        HEAT,
        Line.SINGLE,
    ),
    "grace is a day too long": (
        function(
            season,
            "first_heat_late",
            "heat > season.first_day + grace",
            "heat > season.first_day + grace * 2",
        ),
        HEAT,
        Line.SINGLE,
    ),
    "the last day of grace is late": (
        function(season, "first_heat_late", "heat > season", "heat >= season"),
        HEAT,
        Line.LAWFUL,
    ),
    "the first winter's heat stands for the second": (
        function(season, "first_heat", "if heated_season(facts, plan, heat) == season", ""),
        "两个采暖季",
        Line.FIRST_HEAT,
    ),
    "a new device keeps the old one's first heat": (
        function(facts, "_start_works_again", "facts.first_heats = []", "pass"),
        CLOCK,
        Line.FIRST_HEAT,
    ),
    "visits before the season count": (
        function(season, "warm_visits", "season.first_day <= visit.on", "visit.on"),
        VISITS,
        Line.VISITS,
    ),
    "visits after the season count": (
        function(season, "warm_visits", " <= season.last_day and", " and"),
        VISITS,
        Line.VISITS,
    ),
    "cold visits count": (
        function(season, "warm_visits", "warm(visit, plan)", "visit.temperature > 0"),
        VISITS,
        Line.VISITS,
    ),
    "one visit too few": (
        guard(P.warm_visits_made, "made < wanted", "made < wanted - 1"),
        VISITS,
        Line.VISITS,
    ),
    "one visit too many": (
        guard(P.warm_visits_made, "made < wanted", "made <= wanted"),
        VISITS,
        Line.LAWFUL,
    ),
    "signed on the last day": (
        function(season, "signed", "signature.on > season", "signature.on >= season"),
        VISITS,
        Line.SIGNED,
    ),
    "signed for another season": (
        function(season, "signed", "signature.season == season.label and ", ""),
        VISITS,
        Line.SIGNED,
    ),
    # Point 4
    "late acceptance needs no document": (
        function(season, "_late_papers", "(facts.accepted, facts.ready)", "(facts.ready,)"),
        PAPERS,
        Line.PAPERS,
    ),
    "late readiness needs no document": (
        function(season, "_late_papers", "(facts.accepted, facts.ready)", "(facts.accepted,)"),
        PAPERS,
        Line.PAPERS,
    ),
    "the first day is late": (
        function(season, "_late_papers", "recorded_on > first_day", "recorded_on >= first_day"),
        PAPERS,
        Line.LAWFUL,
    ),
    "every paper is documented": (
        function(facts, "_milestone", 'event.text("late_document") is not None', "True"),
        PAPERS,
        Line.PAPERS,
    ),
    "the date of recording is that of London": (
        function(facts, "local_date", "astimezone(SHANGHAI)", "astimezone(timezone.utc)"),
        PAPERS,
        Line.PAPERS,
    ),
    # Point 5
    "the guard is inverted": (
        guard(P.nothing_open, "if not matters", "if matters"),
        MATTERS,
        Line.LAWFUL,
    ),
    "a complaint freezes nothing": (
        function(
            Matter, "freezes", "(FactKind.VIOLATION, FactKind.COMPLAINT)", "(FactKind.VIOLATION,)"
        ),
        MATTERS,
        Line.FORCE,
    ),
    "a note freezes": (
        function(Matter, "freezes", "is not Severity.NOTE", "is not None"),
        MATTERS,
        Line.FORCE,
    ),
    "a serious finding freezes nothing": (
        function(Matter, "freezes", "is not Severity.NOTE", "is Severity.NOTE"),
        MATTERS,
        Line.FORCE,
    ),
    "answered by who recorded it": (
        guard(R.answered_by_another, "event.person != actor.person", "True"),
        MATTERS,
        Line.SEPARATION,
    ),
    "answered by the accused": (
        guard(R.answered_by_another, "and not accused", ""),
        MATTERS,
        Line.SEPARATION,
    ),
    # Point 6
    "one person by two logins permits": (
        guard(
            P.permitted_by_another,
            "accepted.person != question.actor.person",
            "accepted.person != question.actor.login",
        ),
        MATTERS,
        Line.PERMITTER,
    ),
    "one person by two logins accepts": (
        guard(A.accepted_by_another, "question.actor.person not in", "question.actor.login not in"),
        MATTERS,
        Line.SEPARATION,
    ),
    # What a permission is worth, and who else might move the case
    "suspension is forgotten": (
        function(CaseFacts, "_suspended_on", "return any(", "return False and any("),
        MATTERS,
        Line.FORCE,
    ),
    "a permission taken back stays in force": (
        function(facts, "_step", "ended_on=event.recorded_on", "ended_on=None"),
        CLOCK,
        Line.FORCE,
    ),
    "any season of a drill in a real database": (
        guard(P.season_verified, "if question.drill or not unverified", "if True"),
        UNVERIFIED,
        Line.VERIFIED,
    ),
    "permit as of a day before": (
        guard(
            P.permitted_today,
            "question.on >= question.today",
            "question.on >= question.today - timedelta(days=1)",
        ),
        MATTERS,
        Line.TODAY,
    ),
    "the ledger sets the state": (
        function(
            facts,
            "_amend",
            'case "village":',
            'case "state": facts.state = State(str(value))\n            case "village":',
        ),
        LEDGER,
        Line.LEDGER,
    ),
}


@pytest.mark.parametrize("dropped", DROPPED, ids=lambda dropped: str(dropped.__name__))
def test_permit_without_one_of_its_guards_is_found(
    dropped: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, line = DROPPED[dropped]
    without(dropped)(monkeypatch)

    found = walked(world)

    assert not found.holds
    assert line in found.broken
    assert found.counterexample[-1].trigger == T.PERMIT


def test_every_guard_of_permit_is_dropped_once() -> None:
    assert set(DROPPED) == set(lifecycle.BY_TRIGGER[T.PERMIT].guards)


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed, world, line = FAULTS[name]
    seed(monkeypatch)

    found = walked(world)

    assert not found.holds
    assert line in found.broken
    assert found.counterexample


def test_each_line_of_the_property_has_a_fault_that_breaks_it() -> None:
    broken = {line for _, line in DROPPED.values()} | {line for *_, line in FAULTS.values()}

    assert broken == set(Line)


def test_the_walk_is_the_same_every_time() -> None:
    assert walked(VISITS, LEDGER) == walked(VISITS, LEDGER)


def test_without_a_fault_the_property_holds_whoever_tries_whatever() -> None:
    tried: set[tuple[str, Role]] = set()
    reached: set[State] = set()

    def noted(world: World) -> World:
        def acts(case: CaseFacts, today: date) -> Iterator[Act]:
            reached.add(case.state)
            for act in world.acts(case, today):
                tried.add((str(act.kind), act.actor.role))
                yield act

        return replace(world, acts=acts)

    found = safety.walk([noted(world) for world in safety_worlds.WORLDS])

    assert found.holds
    assert (found.broken, found.counterexample) == ((), ())
    # A rule that refuses everything would be safe too: lawful permissions are reached.
    assert {world.name: world.permissions > 0 for world in found.worlds} == {
        world.name: world.permits for world in safety_worlds.WORLDS
    }
    assert reached == set(State)
    kinds = {kind for kind, _ in tried}
    # The walk itself tries `permit`; the other three do not bear on section 4.
    assert {*map(str, Trigger), *map(str, FactKind)} - kinds == {
        *("permit", "notice", "resume", "extension")
    }


def test_the_way_to_an_unsafe_permission_is_the_shortest_with_days_and_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(guards_permit.season_signed)(monkeypatch)

    found = walked(CLOCK)

    assert found.broken == (Line.SIGNED,)
    way = found.counterexample
    assert [stride.trigger for stride in way] == [
        *("confirm", "select", "complete", "accept", "works", "permit")
    ]
    # Accepted by the first day of the season of three and four November, permitted after it.
    assert way[3].day <= date(2024, 11, 3)
    assert way[5].day == way[5].recorded_on == date(2024, 11, 5)
    assert way[5].to is State.REMOVAL_PERMITTED
    assert found.counterexample[4].evidence["first_heat_on"] == "2024-11-02"


def test_a_machine_with_ways_beside_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    function(machine, "build", '"source": str(source)', '"source": "*"')(monkeypatch)

    found = walked(CLOCK)

    assert found.broken == (Line.WAY,)


def test_the_oracle_shares_no_rule_with_the_program() -> None:
    tree = ast.parse(inspect.getsource(safety_oracle))
    imported = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module or "").startswith("states")
    }

    # The shapes of an event, an officer and the plan, and the words: nothing that decides.
    assert imported == {
        ("states.facts", "Actor"),
        ("states.facts", "Event"),
        ("states.plan", "Json"),
        ("states.plan", "Plan"),
        ("states.vocabulary", "Role"),
        ("states.vocabulary", "State"),
        ("states.vocabulary", "Word"),
    }
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not read & {"recorded_on", "text", "texts", "day", "number", "exempt", "seasons_of"}
