"""The performance self-evaluation (通知 五（四）): what is counted, and the marks it is worth.

The city's method is not public, so weights and lines are plan data; what is counted rests on the
rules that hold everywhere else. Where nothing can be counted there are no marks, and the reason.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from msgspec import Struct, field

from states import guards_permit, season
from states.deadlines import DONE
from states.facts import CaseFacts
from states.plan import Indicator, Plan
from states.question import Question
from states.season import Dated
from states.vocabulary import (
    CloseCause,
    FactKind,
    Measure,
    Paper,
    PauseCause,
    Quota,
    Stability,
    State,
    Supply,
    Trigger,
)

# The guards of `permit` that look at the season, by what their refusal says of it.
_BROKEN = (
    guards_permit.no_long_outage,
    guards_permit.outages_within_total,
    guards_permit.heat_on_today,
)
_GAPS = {
    "first_heat_known": (guards_permit.first_heat_known, Paper.FIRST_HEAT),
    "warm_visits_made": (guards_permit.warm_visits_made, Paper.VISITS),
    "season_signed": (guards_permit.season_signed, Paper.SIGNATURE),
    "recorded_in_time": (guards_permit.recorded_in_time, None),
}
# The order in which the line is gone.
_LINE = tuple(state for state in State if state is not State.CLOSED)
JUDGED = (Stability.STABLE, Stability.UNSTABLE, Stability.UNKNOWN)


class Winter(Struct, frozen=True):
    """What a season says of one household.

    `guards` are those that refuse, `lacking` the gaps among them. `outage_days` and what follows
    are None where the household did not go through the season, or its dates are unknown.
    """

    stability: Stability
    guards: tuple[str, ...] = ()
    lacking: tuple[Paper, ...] = ()
    outage_days: int | None = None
    cold_visits: int | None = None
    first_heat_late: bool | None = None


def winter(question: Question, label: str) -> Winter:
    """What the season of this label says of the household, asked of the guards of `permit`.

    `question.plan` must be `Plan.until_season(label)`: no later season is judged in its place.
    """
    facts, plan, today = question.facts, question.plan, question.today
    if facts.state not in DONE:
        return Winter(Stability.NOT_ACCEPTED)
    if season.exempt(facts, plan):
        return Winter(Stability.EXEMPT)
    dated = dated_season(facts, plan, label)
    if dated is None:
        return Winter(Stability.SEASON_UNKNOWN)
    window = season.window(facts, plan, today)
    if window is None or window.seasons[-1].label != label:
        return Winter(Stability.NOT_SERVED)
    figures = (
        sum(season.outages(facts, plan, dated, today)),
        season.cold_visits(facts, plan, dated),
        season.first_heat_late(facts, plan, dated),
    )
    if not window.ended:
        return Winter(Stability.RUNNING, (), (), *figures)
    broken = tuple(reason.guard for guard in _BROKEN if (reason := guard(question)))
    gaps = tuple(name for name, (guard, _) in _GAPS.items() if guard(question))
    lacking = tuple(paper for name in gaps if (paper := _GAPS[name][1]) is not None)
    found = Stability.UNSTABLE if broken else Stability.UNKNOWN if gaps else Stability.STABLE
    return Winter(found, (*broken, *gaps), lacking, *figures)


def dated_season(facts: CaseFacts, plan: Plan, label: str) -> Dated | None:
    """The household's season of this label, None while its dates are unknown."""
    return next((one for one in season.known_seasons(facts, plan) if one.label == label), None)


def lacking(facts: CaseFacts, plan: Plan, found: Winter) -> tuple[Paper, ...]:
    """What the household's file should hold by now and does not; nothing of a closed case."""
    if facts.state is State.CLOSED:
        return ()
    behind = _LINE[: _LINE.index(facts.state)]
    steps = {
        State.HOUSEHOLD_CONFIRMATION: _confirmed,
        State.EQUIPMENT_SELECTION: _selected,
        State.CONSTRUCTION: _built,
        State.ACCEPTANCE: _accepted,
    }
    asked = (step(facts, plan) for state, step in steps.items() if state in behind)
    return (*chain.from_iterable(asked), *found.lacking)


def _confirmed(facts: CaseFacts, plan: Plan) -> Iterator[Paper]:
    # The confirmation may tell the 公示 itself instead of a fact beside the line.
    said = [event for event in facts.events.values() if event.kind == Trigger.CONFIRM]
    if facts.notice is None and not any(event.text("notice_from") for event in said):
        yield Paper.NOTICE
    if not any(event.text("consent_on") for event in said):
        yield Paper.CONSENT


def _selected(facts: CaseFacts, plan: Plan) -> Iterator[Paper]:
    if not facts.model and not facts.connection_point:
        yield Paper.SELECTION


def _built(facts: CaseFacts, plan: Plan) -> Iterator[Paper]:
    if facts.ready is None:
        yield Paper.WORKS
    if not facts.serial and plan.path_rule(facts.path).supply is Supply.DEVICE:
        yield Paper.SERIAL


def _accepted(facts: CaseFacts, plan: Plan) -> Iterator[Paper]:
    wanted = plan.acceptance_of(facts.path, facts.kind, facts.area)
    event = facts.events[facts.accepted.seq] if facts.accepted else None
    for paper, key, names in (
        (Paper.ITEMS, "item", wanted.items),
        (Paper.SIGNERS, "signer", wanted.signers),
        (Paper.DOCUMENTS, "document", wanted.documents),
    ):
        said = {text.partition(":")[0] for text in event.texts(key)} if event else set()
        if set(names) - said:
            yield paper


# --- what is counted ------------------------------------------------------------------------------


class Tally(Struct):
    """The figures of a unit, or of all: they add up line by line.

    `steps` and `late_steps` count every time a step was taken, `waiting_late` households that
    still wait past their deadline, by the step that would meet it. `days` are those each step took.
    """

    task: int = 0
    registered: int = 0
    quotas: Counter[Quota] = field(default_factory=Counter)
    completed: int = 0
    accepted: int = 0
    permitted: int = 0
    closed: Counter[CloseCause] = field(default_factory=Counter)
    steps: Counter[Trigger] = field(default_factory=Counter)
    late_steps: Counter[Trigger] = field(default_factory=Counter)
    waiting_late: Counter[Trigger] = field(default_factory=Counter)
    put_right: int = 0
    put_right_late: int = 0
    put_right_waiting: int = 0
    days: dict[Trigger, list[int]] = field(default_factory=dict)
    extensions: int = 0
    pauses: Counter[PauseCause] = field(default_factory=Counter)
    pause_days: int = 0
    stability: Counter[Stability] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    outage_days: list[int] = field(default_factory=list)
    cold_visits: int = 0
    cold_households: int = 0
    late_heat: int = 0
    faults: int = 0
    faults_open: int = 0
    repair_days: list[int] = field(default_factory=list)
    qualified: int = 0
    not_qualified: Counter[str] = field(default_factory=Counter)
    matters: Counter[tuple[FactKind, str]] = field(default_factory=Counter)
    matters_open: Counter[tuple[FactKind, str]] = field(default_factory=Counter)
    unfounded: Counter[tuple[FactKind, str]] = field(default_factory=Counter)
    answers: int = 0
    answers_late: int = 0
    removed: int = 0
    removed_lawful: int = 0
    dossiers: int = 0
    dossiers_complete: int = 0
    papers: Counter[Paper] = field(default_factory=Counter)

    @property
    def going(self) -> int:
        """The households that are not closed."""
        return sum(self.quotas.values())

    @property
    def judged(self) -> int:
        """The households whose season can be told stable or not, gaps included."""
        return sum(self.stability[one] for one in JUDGED)


def together(tallies: Sequence[Tally]) -> Tally:
    """All of them as one."""
    total = Tally()
    for tally in tallies:
        for name in Tally.__struct_fields__:
            was, more = getattr(total, name), getattr(tally, name)
            if isinstance(was, dict) and not isinstance(was, Counter):
                for key, days in more.items():
                    was.setdefault(key, []).extend(days)
            else:
                setattr(total, name, was + more)
    return total


class Score(Struct, frozen=True):
    """An indicator and its marks; `value` and `points` are None where it cannot be told, `why`."""

    indicator: Indicator
    count: int
    of: int
    value: float | None
    points: float | None
    why: str | None = None


def score(indicator: Indicator, tally: Tally, *, ended: bool) -> Score:
    """The marks of an indicator; never full marks for what is unknown or did not occur.

    `ended` says whether the season is over for all: before that it gives no marks.
    """
    count, of, why = _measured(indicator.key, tally, ended=ended)
    if why is None and of == 0:
        why = _NOTHING[indicator.key]
    if why is not None:
        return Score(indicator, count, of, None, None, why)
    value = 100 * count / of
    share = (value - indicator.zero) / (indicator.full - indicator.zero)
    points = round(indicator.weight * min(max(share, 0.0), 1.0), 2)
    return Score(indicator, count, of, value, points)


_NOTHING = {
    Measure.TASK_COMPLETION: "附件没有任务",
    Measure.WORKS_IN_TIME: "还没有完工，也没有逾期未完工",
    Measure.ACCEPTED_IN_TIME: "还没有验收，也没有逾期未验收",
    Measure.PUT_RIGHT_IN_TIME: "没有整改",
    Measure.STABLE: "没有经历全季的户",
    Measure.EVIDENCE_KNOWN: "没有经历全季的户",
    Measure.VIOLATIONS: "没有在册户",
    Measure.ANSWERED_IN_TIME: "没有办结，也没有逾期未办结",
    Measure.LAWFUL_REMOVALS: "没有拆除或封存",
    Measure.DOSSIERS_COMPLETE: "没有应建档的户",
}


def _measured(key: Measure, tally: Tally, *, ended: bool) -> tuple[int, int, str | None]:
    """Of how many, how many; and why no more can be said."""
    match key:
        case Measure.TASK_COMPLETION:
            return tally.accepted, tally.task, None
        case Measure.WORKS_IN_TIME:
            return (*_in_time(tally, Trigger.COMPLETE), None)
        case Measure.ACCEPTED_IN_TIME:
            return (*_in_time(tally, Trigger.ACCEPT), None)
        case Measure.PUT_RIGHT_IN_TIME:
            count = tally.put_right - tally.put_right_late
            return count, tally.put_right + tally.put_right_waiting, None
        case Measure.STABLE | Measure.EVIDENCE_KNOWN:
            unknown = tally.stability[Stability.UNKNOWN]
            known = tally.judged - unknown
            count = tally.stability[Stability.STABLE] if key is Measure.STABLE else known
            if tally.stability[Stability.SEASON_UNKNOWN]:
                return count, tally.judged, "采暖季起止日期未知"
            return count, tally.judged, None if ended else "采暖季尚未结束"
        case Measure.VIOLATIONS:
            return _violations(tally), tally.registered, None
        case Measure.ANSWERED_IN_TIME:
            return tally.answers - tally.answers_late, tally.answers, None
        case Measure.LAWFUL_REMOVALS:
            return tally.removed_lawful, tally.removed, None
        case Measure.DOSSIERS_COMPLETE:
            return tally.dossiers_complete, tally.dossiers, None


def _in_time(tally: Tally, step: Trigger) -> tuple[int, int]:
    taken, late = tally.steps[step], tally.late_steps[step]
    return taken - late, taken + tally.waiting_late[step]


def _violations(tally: Tally) -> int:
    """Violations that are not unfounded."""
    return sum(
        number - tally.unfounded[key]
        for key, number in tally.matters.items()
        if key[0] is FactKind.VIOLATION
    )
