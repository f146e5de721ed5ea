"""The county's position on a day, gathered for one page: `notifications.dashboard` words it.

Every figure comes from the function that counts it elsewhere: `check`, `plan schedule`, `forecast`,
`violations`, `case why`. What is only here is how it came about, day by day and step by step: that
is read from the steps in the journal. `known_at` holds for all but the proof, which is of now.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection

from notifications import dashboard as board
from notifications.dashboard import STEPS, AnnexLine, Board, Curve, Edge, UnitLine
from notifications.diagram import Live
from notifications.pages import Head
from states import lifecycle, machine, rungs, schedule
from states.deadlines import DONE
from states.facts import ONWARD, Event, fold
from states.plan import Plan, Task, Unit
from states.vocabulary import CloseCause, Level, Quota, State, Trigger
from workflow import (
    cases,
    checkpoint,
    forecast,
    journal,
    overdue,
    page_head,
    progress,
    quarantine,
    register,
    violations,
)
from workflow.cases import Clocks, Position
from workflow.errors import BadFile, NotPermitted
from workflow.forecast import Forecast, Outlook
from workflow.journal import Line

TITLE = "清洁取暖改造进度看板"
WEEK = timedelta(days=7)
# How long after the end of the acceptance the curves go on, and how far a forecast is drawn.
_BEYOND, _AHEAD = timedelta(days=21), timedelta(days=26 * 7)
_TRIGGERS = {str(trigger): trigger for trigger in Trigger}


class _Ways(Struct):
    """What the households of one unit did: its changes by step and day, and its steps."""

    registered: int = 0
    changes: dict[Trigger, Counter[date]] = field(
        default_factory=lambda: {step: Counter() for step in STEPS}
    )
    edges: Counter[tuple[Trigger, State, State]] = field(default_factory=Counter)
    causes: Counter[CloseCause] = field(default_factory=Counter)


class Drawn(Struct, frozen=True):
    """The page's values: what it shows, and its head."""

    board: Board
    head: Head

    @property
    def page(self) -> str:
        """The page itself."""
        return board.page(self.board, self.head)


class County(Struct, frozen=True):
    """What the page of the county and the page of each unit share, read once."""

    lines: Mapping[str, Line]
    foreseen: Forecast
    proof: board.Proof


def read(connection: Connection, plan: Plan, clocks: Clocks, today: date, now: datetime) -> County:
    """The county on these clocks; `now` is when the proof is looked at."""
    lines = journal.lines(connection, clocks.known_at)
    foreseen = forecast.foresee(connection, plan, clocks, today, lines=lines)
    return County(lines, foreseen, proof(connection, now))


def draw(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    today: date,
    now: datetime,
    units: Sequence[str] | None = None,
    *,
    ranking: bool = True,
    county: County | None = None,
) -> Drawn:
    """The dashboard of these units (None: all) on these clocks; `now` is when it is made.

    Without `ranking` the units stand in the order of the annex and none is called first or last.
    `county` is what `read` answered on the same clocks, where several pages are drawn.
    Raises NotPermitted for no units at all.
    """
    shown = [unit for unit in plan.units if units is None or unit.code in units]
    if not shown:
        raise NotPermitted(
            "这个责任单位不在您的办理范围内", place="--unit", remedy="不写 --unit，即您自己的单位"
        )
    county = county or read(connection, plan, clocks, today, now)
    lines, foreseen = county.lines, county.foreseen
    everywhere = foreseen.positions
    codes = {unit.code for unit in shown}
    positions = [position for position in everywhere if position.unit in codes]
    checked = overdue.check(connection, plan, clocks, units, everywhere)
    done = progress.of(plan, clocks.as_of, positions, units)
    ways = _ways(connection, clocks, positions, lines)
    span = _span(plan, clocks.as_of, ways.values())
    built = {code: one.steps[Trigger.COMPLETE].done for code, one in done.by_unit.items()}
    ranks = progress.ranks(plan, built) if ranking and units is None else {}
    found = [
        _unit(unit, plan, clocks.as_of, positions, done, ways[unit.code], foreseen, span, ranks)
        for unit in shown
    ]
    if ranking:
        # Departments come after the townships, as in the annex; equals by its order.
        found.sort(key=lambda line: (line.department, line.rank or 0))
    total = _total(found, foreseen, clocks.as_of, span)
    drill = register.is_drill(connection)
    entries = violations.register(connection, plan, clocks, units, only_open=True)
    names = {unit.code: unit.name for unit in plan.units}
    whose = "" if units is None else "、".join(unit.name for unit in shown)
    basis = page_head.unverified_basis(
        plan, (*page_head.SEASON_RULES, *page_head.TIME_RULES), seasons=True
    )
    return Drawn(
        Board(
            as_of=clocks.as_of,
            whole=units is None,
            alarms=tuple(
                board.Alarm(one.code, names.get(one.unit, one.unit), one.why)
                for one in checked.gravest
            ),
            matters=tuple(
                board.OpenMatter(
                    one.matter.kind,
                    one.matter.type,
                    one.code,
                    one.unit_name,
                    one.matter.on,
                    one.days,
                )
                for one in entries
            ),
            matters_overdue=len(checked.matters),
            milestones=_milestones(plan, clocks.as_of, total),
            units=tuple(found),
            total=total,
            annex=tuple(annex(shown, positions)),
            flow=_flow(positions, ways.values()),
            season=_season(connection, plan, clocks, positions, drill=drill),
            proof=_proof(county.proof, positions, whole=units is None),
            first_day=span[0],
            last_day=span[1],
        ),
        page_head.head(
            connection,
            plan,
            clocks,
            f"{plan.county}{plan.year}年{TITLE}" + (f"·{whose}" if whose else ""),
            unverified=basis,
            units=units,
        ),
    )


def live(
    connection: Connection, plan: Plan, clocks: Clocks, units: Sequence[str] | None = None
) -> Live:
    """The households by state, the steps they took, and how many of each state are overdue."""
    lines = journal.lines(connection, clocks.known_at)
    positions = cases.positions(connection, plan, clocks, units, lines)
    flow = _flow(positions, _ways(connection, clocks, positions, lines).values())
    return Live(
        as_of=clocks.as_of,
        drill=register.is_drill(connection),
        registered=flow.registered,
        stock=flow.stock,
        edges={(one.trigger, one.source, one.target): one.times for one in flow.edges},
        overdue=Counter(p.state for p in positions if p.overdue and p.state is not State.CLOSED),
    )


def write(path: Path, found: Drawn) -> int:
    """Writes the page, whole or not at all; answers its bytes. Raises BadFile."""
    return write_text(path, found.page)


def write_text(path: Path, text: str) -> int:
    """Writes a text, whole or not at all; answers its bytes. Raises BadFile."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, made: bytes) -> int:
    """Writes a file, whole or not at all; answers its bytes. Raises BadFile."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(made)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadFile(
            f"写不了 {path}：{error.strerror}", place=str(path), remedy="换一个可写的文件夹"
        ) from error
    return len(made)


# --- how it came about ----------------------------------------------------------------------------


def built(
    connection: Connection,
    clocks: Clocks,
    positions: Sequence[Position],
    lines: Mapping[str, Line],
    days: Sequence[date],
) -> list[int]:
    """How many of these households had their works behind them at the end of each day."""
    changes: Counter[date] = Counter()
    for ways in _ways(connection, clocks, positions, lines).values():
        changes.update(ways.changes[Trigger.COMPLETE])
    return [sum(n for on, n in changes.items() if on <= day) for day in days]


def _ways(
    connection: Connection,
    clocks: Clocks,
    positions: Sequence[Position],
    lines: Mapping[str, Line],
) -> dict[str, _Ways]:
    """What every household did up to the day, by unit.

    A case that only went onward is told by its columns; the steps of all others are read.
    """
    found: dict[str, _Ways] = defaultdict(_Ways)
    read = {}
    for position in positions:
        ways = found[position.unit]
        ways.registered += 1
        line = lines.get(position.code)
        if line is not None and line.onward_only and line.registered_on is not None:
            _onward(ways, line, clocks.as_of)
        elif line is not None:
            read[position.code] = ways
    histories = cases.load(connection, [*read], known_at=clocks.known_at, checked=False)
    for code, events in histories.items():
        _steps(read[code], events, clocks.as_of)
    return found


def _onward(ways: _Ways, line: Line, as_of: date) -> None:
    state = State.HOUSEHOLD_CONFIRMATION
    for trigger, on in zip(ONWARD, line.first, strict=True):
        if on is None or on > as_of:
            continue
        ways.edges[trigger, state, ONWARD[trigger]] += 1
        state = ONWARD[trigger]
        if trigger in ways.changes:
            ways.changes[trigger][on] += 1


def _steps(ways: _Ways, events: Iterable[Event], as_of: date) -> None:
    before = State.HOUSEHOLD_CONFIRMATION
    for event in events:
        trigger = _TRIGGERS.get(event.kind)
        if trigger is None or event.occurred_on > as_of:
            continue
        assert event.source is not None
        assert event.target is not None
        ways.edges[trigger, event.source, event.target] += 1
        if trigger is Trigger.CLOSE and (cause := event.text("cause")):
            ways.causes[CloseCause(cause)] += 1
        for step, changes in ways.changes.items():
            changes[event.occurred_on] += _has(event.target, step) - _has(before, step)
        before = event.target


def _has(state: State, step: Trigger) -> int:
    return int(state is not State.CLOSED and progress.past(state, step))


def _flow(positions: Sequence[Position], ways: Iterable[_Ways]) -> board.Flow:
    edges: Counter[tuple[Trigger, State, State]] = Counter()
    causes: Counter[CloseCause] = Counter()
    registered = 0
    for one in ways:
        edges.update(one.edges)
        causes.update(one.causes)
        registered += one.registered
    ordered = [
        Edge(step.trigger, source, target, edges[step.trigger, source, target])
        for step in lifecycle.STEPS
        for source, target in step.moves.items()
        if edges[step.trigger, source, target]
    ]
    stock = Counter(position.state for position in positions)
    return board.Flow(registered, stock, tuple(ordered), causes)


def _span(plan: Plan, as_of: date, ways: Iterable[_Ways]) -> tuple[date, date]:
    """The days that the curves show: the plan's, and on as long as works were still finished."""
    until = plan.phase("acceptance").end + _BEYOND
    ends = (Trigger.COMPLETE, Trigger.ACCEPT)
    days = [on for one in ways for step in ends for on, n in one.changes[step].items() if n]
    last = max([until, *(min(on + _BEYOND, as_of) for on in days)])
    return plan.effective_from, last


# --- the units ------------------------------------------------------------------------------------


def _unit(
    unit: Unit,
    plan: Plan,
    as_of: date,
    positions: Sequence[Position],
    done: progress.Progress,
    ways: _Ways,
    foreseen: Forecast,
    span: tuple[date, date],
    ranks: Mapping[str, int],
) -> UnitLine:
    going = [p for p in positions if p.unit == unit.code and p.state is not State.CLOSED]
    outlook = foreseen.by_unit[unit.code]
    steps = done.by_unit[unit.code].steps
    curves = {
        step: Curve(
            trigger=step,
            task=unit.task,
            target_on=steps[step].target_on,
            done=steps[step].done,
            planned_now=steps[step].planned,
            planned=_planned(plan, unit.task, step, span),
            actual=_running(ways.changes[step]),
            band=_band([outlook], as_of, span) if step is Trigger.COMPLETE else (),
        )
        for step in STEPS
    }
    return UnitLine(
        code=unit.code,
        name=unit.name,
        department=unit.kind == "department",
        rank=ranks.get(unit.code),
        task=unit.task,
        cases=len(going),
        done=sum(p.state in DONE for p in going),
        permitted=sum(p.state is State.REMOVAL_PERMITTED for p in going),
        overdue=sum(p.overdue for p in going),
        at_risk=sum(p.at_risk for p in going),
        rungs=_rungs(plan, as_of, going),
        curves=curves,
        outlook=_outlook(outlook),
    )


def _rungs(plan: Plan, as_of: date, going: Iterable[Position]) -> Mapping[Level, int]:
    """The households by the highest rung that their deadline has reached."""
    due: Counter[date] = Counter(p.due_on for p in going if p.due_on is not None)
    found: Counter[Level] = Counter()
    for on, households in due.items():
        if reached := rungs.standing(on, as_of, plan).reached:
            found[reached[-1].level] += households
    return found


def _outlook(found: Outlook) -> board.Outlook | None:
    if not found.to_build:
        return None
    return board.Outlook(
        chance=found.p_construction,
        low=found.low,
        expected=found.expected,
        high=found.high,
        pace_needed=found.pace_needed,
        pace_shown=found.pace_shown,
        warned=found.p_construction < forecast.WARN_BELOW,
    )


def _planned(
    plan: Plan, task: int, step: Trigger, span: tuple[date, date]
) -> tuple[tuple[date, int], ...]:
    """The plan's curve week by week, and on the days on which it begins and ends."""
    target = schedule.targets(plan)[step]
    days = {span[0], schedule.begins_on(plan, step), target, span[1]}
    on = span[0]
    while on < min(target, span[1]):
        days.add(on)
        on += WEEK
    return tuple(
        (on, schedule.planned(plan, task, step, on)) for on in sorted(days) if on <= span[1]
    )


def _running(changes: Mapping[date, int]) -> tuple[tuple[date, int], ...]:
    level, found = 0, []
    for on in sorted(changes):
        if changes[on]:
            level += changes[on]
            found.append((on, level))
    return tuple(found)


def _band(
    outlooks: Sequence[Outlook], as_of: date, span: tuple[date, date]
) -> tuple[tuple[date, int, int, int], ...]:
    """The forecast from the day on, week by week, to the end of what is drawn."""
    if not any(one.to_build for one in outlooks):
        return ()
    days = []
    on = as_of
    while on <= min(span[1], as_of + _AHEAD):
        days.append(on)
        on += WEEK
    if days and days[-1] < span[1] <= as_of + _AHEAD:
        days.append(span[1])
    return tuple((b.on, b.low, b.expected, b.high) for b in forecast.bands(outlooks, days))


def _total(
    units: Sequence[UnitLine], foreseen: Forecast, as_of: date, span: tuple[date, date]
) -> UnitLine:
    """All units of the page together, line by line."""
    found: Counter[Level] = Counter()
    for unit in units:
        found.update(unit.rungs)
    return UnitLine(
        code="",
        name=units[0].name if len(units) == 1 else "合计",
        department=False,
        rank=None,
        task=sum(unit.task for unit in units),
        cases=sum(unit.cases for unit in units),
        done=sum(unit.done for unit in units),
        permitted=sum(unit.permitted for unit in units),
        overdue=sum(unit.overdue for unit in units),
        at_risk=sum(unit.at_risk for unit in units),
        rungs=found,
        curves={
            step: _together(
                [unit.curves[step] for unit in units],
                _band([foreseen.by_unit[unit.code] for unit in units], as_of, span)
                if step is Trigger.COMPLETE
                else (),
            )
            for step in STEPS
        },
        outlook=None,
    )


def _together(curves: Sequence[Curve], band: tuple[tuple[date, int, int, int], ...]) -> Curve:
    planned: Counter[date] = Counter()
    changes: Counter[date] = Counter()
    for curve in curves:
        before = 0
        for on, households in curve.planned:
            planned[on] += households
        for on, households in curve.actual:
            changes[on] += households - before
            before = households
    return Curve(
        trigger=curves[0].trigger,
        task=sum(curve.task for curve in curves),
        target_on=curves[0].target_on,
        done=sum(curve.done for curve in curves),
        planned_now=sum(curve.planned_now for curve in curves),
        planned=tuple(sorted(planned.items())),
        actual=_running(changes),
        band=band,
    )


# --- the annex, the milestones, the season --------------------------------------------------------


def annex(units: Sequence[Unit], positions: Sequence[Position]) -> Iterable[AnnexLine]:
    """Every figure of the annex with its households, then those that no figure covers."""
    going: dict[str, list[Position]] = defaultdict(list)
    for position in positions:
        if position.state is not State.CLOSED:
            going[position.unit].append(position)
    for unit in units:
        left = going[unit.code]
        for task in unit.tasks:
            mine = [p for p in left if task.covers(p.path, p.kind, p.area)]
            left = [p for p in left if not task.covers(p.path, p.kind, p.area)]
            yield _annex_line(unit, task, mine)
        for path in dict.fromkeys(p.path for p in left):
            none = Task(path=path, households=0)
            yield _annex_line(unit, none, [p for p in left if p.path is path], known=False)


def _annex_line(
    unit: Unit, task: Task, mine: Sequence[Position], *, known: bool = True
) -> AnnexLine:
    quotas = Counter(position.quota for position in mine)
    return AnnexLine(
        unit_name=unit.name,
        path=task.path,
        area=task.area,
        kind=task.kind,
        task=task.households if known else None,
        planned=quotas[Quota.PLANNED],
        carried_over=quotas[Quota.CARRIED_OVER],
        over_plan=quotas[Quota.OVER_PLAN],
        completed=sum(progress.past(p.state, Trigger.COMPLETE) for p in mine),
        accepted=sum(p.state in DONE for p in mine),
    )


_ENDS_WITH = {
    "preparation": Trigger.SELECT,
    "works": Trigger.COMPLETE,
    "acceptance": Trigger.ACCEPT,
}


def _milestones(plan: Plan, as_of: date, total: UnitLine) -> tuple[board.Milestone, ...]:
    found = []
    for phase in plan.phases:
        last = plan.calendar.last_workday(phase.end)
        step = _ENDS_WITH.get(phase.key)
        found.append(
            board.Milestone(
                label=phase.label,
                end=phase.end,
                last_workday=last,
                workdays=plan.calendar.workdays_left(as_of, last) if as_of <= phase.end else None,
                historic=plan.historic(phase),
                provisional=not plan.calendar.known(phase.end),
                to_go=total.cases - total.curves[step].done if step else None,
            )
        )
    return tuple(found)


def _season(
    connection: Connection,
    plan: Plan,
    clocks: Clocks,
    positions: Sequence[Position],
    *,
    drill: bool,
) -> board.Season:
    """When the households in 稳定运行一季 could be permitted, as `case why` would say of each."""
    waiting = [p.code for p in positions if p.state is State.STABLE_SEASON]
    around = overdue.Around(connection)
    earliest: Counter[date] = Counter()
    never: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    ready = 0
    on = clocks.as_of if clocks.past else None
    histories = cases.load(connection, waiting, known_at=clocks.known_at, until=on, checked=False)
    for code, events in histories.items():
        facts = fold(code, events, on)
        assert facts is not None
        question = around.question(facts, plan, Trigger.PERMIT, clocks.as_of, drill)
        answer = machine.ask(Trigger.PERMIT, question)
        ready += answer.possible
        lacking.update({reason.guard for reason in answer.reasons})
        if answer.earliest is not None:
            earliest[answer.earliest] += 1
        else:
            never[answer.earliest_reason or ""] += 1
    spans = {
        (one.label, one.first_day, one.last_day, one.verified)
        for one in plan.seasons
        if one.first_day and one.last_day and one.last_day >= clocks.as_of - timedelta(days=90)
    }
    return board.Season(
        waiting=len(waiting),
        ready=ready,
        earliest=earliest,
        never=never,
        lacking=lacking,
        permitted=sum(p.state is State.REMOVAL_PERMITTED for p in positions),
        not_accepted=sum(p.state not in (*DONE, State.CLOSED) for p in positions),
        spans=tuple(board.SeasonSpan(*span) for span in sorted(spans)),
    )


# --- the proof ------------------------------------------------------------------------------------


def _proof(found: board.Proof, positions: Sequence[Position], *, whole: bool) -> board.Proof:
    """The proof as readers of these households may see it: no other's stream is named."""
    if whole or found.broken is None:
        return found
    stream, _, _ = found.broken.partition(" ")
    if stream in {f"case:{position.code}" for position in positions}:
        return found
    return replace(found, broken="不在本单位各户")


def proof(connection: Connection, now: datetime) -> board.Proof:
    """What is cheap to check, checked; the rest is `audit verify`'s."""
    status = checkpoint.status(connection, now)
    damage = quarantine.damage(connection)
    places = [f"{stream} seq {seq}" for stream, seq in damage.streams.items()]
    places += [f"seq {seq}（缺失）" for seq in damage.missing]
    made, seen = status.last, status.seen
    return board.Proof(
        checked_at=now,
        events=status.size if damage.everything else damage.events,
        broken=places[0] if places else None,
        checkpoint_size=made.checkpoint.size if made else None,
        checkpoint_at=made.recorded_at if made else None,
        witness=seen.witness if seen else None,
        witnessed=seen.size if seen else 0,
        witnessed_at=seen.at if seen else None,
        unseen=status.unseen,
        unseen_since=status.oldest,
        unseen_hours=None if status.age is None else int(status.age.total_seconds() // 3600),
        overdue=status.overdue,
        witnesses=sum(not one.revoked for one in status.witnesses),
        signed=status.signed,
        everything=damage.everything,
    )
