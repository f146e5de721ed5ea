"""The performance self-evaluation (通知 五（四）), counted from the journal on any day.

What is in time, done, stable or lawful is asked of the rules that say so elsewhere; here it is
added up by unit. `known_at` holds for all but the proof, which is of now.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Connection

from notifications import evaluation as report
from notifications.evaluation import Evaluation, HouseholdLine, Parameter, UnitFigures
from states import deadlines, machine
from states.deadlines import STEPS_TO_GO
from states.errors import UsageFault
from states.evaluation import Tally, Winter, lacking, score, together, winter
from states.facts import GONE, CaseFacts, Event, fold
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import (
    Clock,
    CloseCause,
    Outcome,
    State,
    Trigger,
)
from workflow import cases, dashboard, journal, overdue, page_head, progress, register
from workflow.cases import Clocks, Position
from workflow.errors import NotPermitted

TITLE = "冬季清洁取暖绩效自评报告"
SUFFIXES = (".docx", ".html")
# What a household's file, its lateness and its season rest on, beside the season's dates.
_RULES = (*page_head.SEASON_RULES, "notice_days", "restitution_days")


def evaluate(
    connection: Connection,
    plan: Plan,
    label: str,
    clocks: Clocks,
    now: datetime,
    units: Sequence[str] | None = None,
) -> Evaluation:
    """The self-evaluation of a season for these units (None: all); `now` is when it is made.

    Raises UsageFault for a season that the plan does not list, NotPermitted for no units at all.
    """
    seasons = tuple(dict.fromkeys(season.label for season in plan.seasons))
    if label not in seasons:
        raise UsageFault(
            f"计划没有 {label} 采暖季",
            place="--season",
            remedy=f"计划列出的采暖季：{'、'.join(seasons) or '无'}",
        )
    shown = [unit for unit in plan.units if units is None or unit.code in units]
    if not shown:
        raise NotPermitted(
            "这个责任单位不在您的办理范围内", place="--unit", remedy="不写 --unit，即您自己的单位"
        )
    on = clocks.as_of if clocks.past else None
    codes = sorted(journal.lines(connection, clocks.known_at))
    if units is not None:
        # A case never changes its unit, so the projection tells it whatever day is asked for.
        case = cases.CASE.c
        theirs = set(
            connection.execute(
                cases.CASE.select().with_only_columns(case.code).where(case.unit.in_(units))
            ).scalars()
        )
        codes = [code for code in codes if code in theirs]
    histories = cases.load(connection, codes, known_at=clocks.known_at, until=on, checked=False)
    judged_by = plan.until_season(label)
    around = overdue.Around(connection)
    drill = register.is_drill(connection)
    tallies = {unit.code: Tally(task=unit.task) for unit in shown}
    positions: list[Position] = []
    households: list[HouseholdLine] = []
    for code in sorted(histories):
        events = histories[code]
        facts = fold(code, events, on)
        if facts is None or facts.unit not in tallies:
            continue
        tally = tallies[facts.unit]
        position = cases.position(facts, plan, clocks.as_of)
        positions.append(position)
        question = around.question(facts, judged_by, Trigger.PERMIT, clocks.as_of, drill)
        found = winter(question, label)
        _position(tally, facts, position, plan)
        _steps(tally, facts, events, plan, clocks.as_of)
        _matters(tally, facts, plan, clocks.as_of)
        _removals(tally, facts)
        if facts.state is State.CLOSED:
            continue
        _season(tally, facts, found, plan, label)
        papers = lacking(facts, plan, found)
        if facts.state is not State.HOUSEHOLD_CONFIRMATION:
            tally.dossiers += 1
            tally.dossiers_complete += not papers
            tally.papers.update(papers)
        reasons: set[str] = set()
        if facts.state is State.STABLE_SEASON:
            # Qualified or not is a matter of the whole plan, with all its seasons.
            asked = around.question(facts, plan, Trigger.PERMIT, clocks.as_of, drill)
            reasons = {reason.guard for reason in machine.ask(Trigger.PERMIT, asked).reasons}
            tally.qualified += not reasons
            tally.not_qualified.update(reasons)
        if papers or reasons or found.guards:
            households.append(
                HouseholdLine(
                    code,
                    position.unit_name,
                    position.village,
                    facts.state,
                    found.stability,
                    tuple(dict.fromkeys((*found.guards, *sorted(reasons)))),
                    papers,
                )
            )
    total = together([*tallies.values()])
    spans = {
        (season.area, season.path): (season.first_day, season.last_day)
        for season in plan.seasons
        if season.label == label
    }
    ends = [last for _, last in spans.values() if last is not None]
    known = bool(ends) and len(ends) == len(spans)
    ended = known and max(ends) < clocks.as_of
    indicators = plan.indicators
    basis = page_head.unverified_basis(plan, _RULES, seasons=False)
    unsure = any(not season.verified for season in plan.seasons if season.label == label)
    dates = [f"{label} 采暖季起止日期"] if unsure else []
    weights = [] if all(one.verified for one in indicators) else ["绩效指标和权重"]
    return Evaluation(
        season=label,
        spans=tuple(sorted({span for span in spans.values() if span[0] and span[1]}, key=str)),
        ended=ended,
        known=known,
        units=tuple(
            UnitFigures(
                unit.code,
                unit.name,
                unit.kind == "department",
                tallies[unit.code],
                tuple(score(one, tallies[unit.code], ended=ended) for one in indicators),
            )
            for unit in shown
        ),
        whole=units is None,
        total=total,
        scores=tuple(score(one, total, ended=ended) for one in indicators),
        annex=tuple(dashboard.annex(shown, positions)),
        households=tuple(households),
        parameters=_parameters(plan, label),
        limits=(plan.rules.outage_days.value, plan.rules.outage_days_total.value),
        phase_ends=(plan.phase("works").end, plan.phase("acceptance").end),
        proof=dashboard.proof(connection, now),
        head=page_head.head(
            connection,
            plan,
            clocks,
            f"{plan.county}{plan.year}年{TITLE}"
            + ("" if units is None else f"·{'、'.join(unit.name for unit in shown)}"),
            unverified=(*basis, *dates, *weights),
            units=units,
        ),
    )


def _position(tally: Tally, facts: CaseFacts, position: Position, plan: Plan) -> None:
    tally.registered += 1
    if facts.state is State.CLOSED:
        assert facts.last_step is not None
        tally.closed[CloseCause(str(facts.last_step.evidence["cause"]))] += 1
        return
    tally.quotas[facts.quota] += 1
    tally.completed += progress.past(facts.state, Trigger.COMPLETE)
    tally.accepted += facts.state in deadlines.DONE
    tally.permitted += facts.state is State.REMOVAL_PERMITTED
    if position.overdue:
        tally.waiting_late[_awaited(facts, plan)] += 1
        tally.put_right_waiting += facts.put_right is not None


def _awaited(facts: CaseFacts, plan: Plan) -> Trigger:
    """The step that meets the deadline: the works, not the selection before them."""
    if deadlines.phase_of(facts.state, plan) is Clock.PREPARATION and facts.put_right is None:
        return Trigger.SELECT
    return STEPS_TO_GO[facts.state][-1]


def _steps(
    tally: Tally,
    facts: CaseFacts,
    events: Sequence[Event],
    plan: Plan,
    as_of: date,
) -> None:
    """The steps forward, in time or late by the deadline that ran; put-right works among them."""
    late = cases.lateness(events, plan)
    since: date | None = None
    putting_right = False
    for event in events:
        if event.kind == "registered":
            since = event.occurred_on
            continue
        if event.target is None or event.occurred_on > as_of:
            continue
        trigger = Trigger(event.kind)
        if trigger in LEAD_TRIGGERS:
            tally.steps[trigger] += 1
            tally.late_steps[trigger] += event.seq in late
            if since is not None:
                tally.days.setdefault(trigger, []).append((event.occurred_on - since).days)
            if putting_right and trigger is Trigger.COMPLETE:
                tally.put_right += 1
                tally.put_right_late += event.seq in late
        if event.day("put_right_by") is not None:
            putting_right = True
        elif trigger in (Trigger.COMPLETE, Trigger.ACCEPT, Trigger.REINSTATE):
            putting_right = False
        since = event.occurred_on
    tally.extensions += len(facts.extensions)
    for pause in facts.pauses:
        tally.pauses[pause.cause] += 1
        tally.pause_days += ((pause.resumed_on or as_of) - pause.on).days


def _matters(tally: Tally, facts: CaseFacts, plan: Plan, as_of: date) -> None:
    for matter in facts.matters:
        what = matter.type or (str(matter.severity) if matter.severity else "")
        key = matter.kind, what
        tally.matters[key] += 1
        tally.matters_open[key] += matter.open
        tally.unfounded[key] += matter.outcome is Outcome.UNFOUNDED
        clock = deadlines.answer_by(matter, plan)
        if clock is None:
            continue
        answered = matter.resolved_on
        late = (answered or as_of) > clock.due_on
        if answered is not None or late:
            tally.answers += 1
            tally.answers_late += late


def _removals(tally: Tally, facts: CaseFacts) -> None:
    """A household counts once, lawful if all that was removed or sealed was, by its permission."""
    gone = [record for record in facts.facilities if record.status in GONE]
    if gone:
        tally.removed += 1
        tally.removed_lawful += all(facts.permitted_on(one.on) is not None for one in gone)


def _season(tally: Tally, facts: CaseFacts, found: Winter, plan: Plan, label: str) -> None:
    tally.stability[found.stability] += 1
    tally.refusals.update(found.guards)
    if found.outage_days is None or found.cold_visits is None:
        return
    tally.outage_days.append(found.outage_days)
    tally.cold_visits += found.cold_visits
    tally.cold_households += found.cold_visits > 0
    tally.late_heat += bool(found.first_heat_late)
    first, last = next(
        (season.first_day, season.last_day)
        for season in plan.seasons_of(facts.area, facts.path)
        if season.label == label
    )
    assert first is not None
    assert last is not None
    for fault in facts.faults:
        if first <= fault.on <= last:
            tally.faults += 1
            tally.faults_open += fault.repaired_on is None
            if fault.repaired_on is not None:
                tally.repair_days.append((fault.repaired_on - fault.on).days)


def _parameters(plan: Plan, label: str) -> tuple[Parameter, ...]:
    """Everything unverified that the report rests on, with its value and source."""
    found = []
    for name, value in plan.rules.values.items():
        rule = getattr(plan.rules, name)
        if name in page_head.NAMES and not rule.verified:
            found.append(Parameter(page_head.NAMES[name], report.flat(value), rule.source))
    dates: dict[tuple[date | None, date | None, str], None] = {}
    for season in plan.seasons:
        if season.label == label and not season.verified:
            dates[season.first_day, season.last_day, season.source] = None
    found += [
        Parameter(
            f"{label} 采暖季起止日期",
            f"{first} 至 {last}" if first else "未知",
            source,
        )
        for first, last, source in dates
    ]
    found += [
        Parameter(
            f"绩效指标：{one.name}",
            f"{one.weight} 分；满分线 {one.full:g}，零分线 {one.zero:g}",
            one.source,
        )
        for one in plan.indicators
        if not one.verified
    ]
    return tuple(found)


def write(path: Path, found: Evaluation) -> int:
    """Writes the report in the form its name asks for, whole or not at all; answers its bytes.

    Raises BadFile.
    """
    made = report.page(found).encode() if path.suffix == ".html" else report.word_file(found)
    return dashboard.write_bytes(path, made)


def refuse_suffix(path: Path) -> None:
    """Raises UsageFault where the name says neither Word nor a page."""
    if path.suffix not in SUFFIXES:
        raise UsageFault(
            f"不知道把 {path.name} 写成什么", place=path.name, remedy="文件名以 .docx 或 .html 结尾"
        )
