"""When each step is due, and whether it is late or about to be (design, section 8).

Lateness is computed from dates, always; nothing counts days. All dates are the county's. One clock
runs for the state a case is in; others may run beside it, each for a matter that waits for an
answer.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from msgspec import Struct

from states.facts import CaseFacts, Event, Matter
from states.plan import Plan
from states.vocabulary import Clock, FactKind, State, Trigger, ViolationType

# The steps from each state up to the one that meets the state's own deadline.
STEPS_TO_GO: dict[State, tuple[Trigger, ...]] = {
    State.HOUSEHOLD_CONFIRMATION: (Trigger.CONFIRM, Trigger.SELECT, Trigger.COMPLETE),
    State.EQUIPMENT_SELECTION: (Trigger.SELECT, Trigger.COMPLETE),
    State.CONSTRUCTION: (Trigger.COMPLETE,),
    State.ACCEPTANCE: (Trigger.ACCEPT,),
}
DONE = (State.STABLE_SEASON, State.REMOVAL_PERMITTED)
NO_DEADLINE = {
    State.STABLE_SEASON: "稳定运行期没有办理期限，满足条件方可许可",
    State.REMOVAL_PERMITTED: "许可不是义务，拆除自愿，没有期限",
    State.CLOSED: "已退出",
}


class Due(Struct, frozen=True):
    """The state's own deadline: `due_on` with extensions and pauses, `plan_due_on` without.

    `due_on` is None where none runs, and `due_reason` then says why. `of` is what it is of, and
    `seq` the event that set it (None: the plan).
    """

    due_on: date | None
    plan_due_on: date | None
    due_reason: str
    of: Clock | None = None
    seq: int | None = None


class Deadline(Struct, frozen=True):
    """One running clock of a case."""

    of: Clock
    seq: int | None
    due_on: date

    @property
    def name(self) -> str:
        """Which of the case's clocks it is: the same as long as it runs, moved or not."""
        return str(self.of) if self.seq is None else f"{self.of}:{self.seq}"


def due(facts: CaseFacts, plan: Plan) -> Due:
    """The deadline that runs for the case in its present state."""
    of = phase_of(facts.state, plan)
    if of is None:
        return Due(None, None, NO_DEADLINE[facts.state])
    phase = plan.phase(of)
    plan_due, reason = phase.end, f"{phase.label}阶段截止"
    put_right, clock, seq = facts.put_right, of, None
    if put_right and (facts.state is not State.ACCEPTANCE or put_right[1] > plan_due):
        seq, plan_due = put_right
        clock, reason = Clock.PUT_RIGHT, f"整改期限（编号 {seq}）"
    extended = [
        extension
        for extension in facts.extensions
        if extension.put_right == (put_right[0] if put_right else None)
        and phase_of(extension.state, plan) is of
    ]
    due_on, set_by = plan_due, seq
    if extended:
        due_on, set_by = extended[-1].due_on, extended[-1].seq
        reason = f"经批准延期（编号 {set_by}）"
    if clock is not Clock.PUT_RIGHT:
        return Due(due_on, plan_due, reason, clock)
    assert set_by is not None
    moved, cause = _paused(facts, plan, set_by, due_on)
    if moved is None:
        return Due(None, plan_due, f"停工（{cause}），整改期限暂停，复工后顺延", clock, seq)
    if moved:
        reason += f"，停工顺延 {moved.days} 天"
    return Due(due_on + moved, plan_due, reason, clock, seq)


def _paused(
    facts: CaseFacts, plan: Plan, set_by: int, due_on: date
) -> tuple[timedelta | None, str | None]:
    """By how much pauses since the event `set_by` move its deadline; None while one lasts.

    Only for the causes that the plan names, and only a pause that began before the deadline was
    over. Days before the deadline was set count for nothing, and no day counts twice. Phases of the
    notice and the season are not moved by any.
    """
    moved, counted = timedelta(0), facts.events[set_by].occurred_on
    for pause in sorted(facts.pauses, key=lambda pause: pause.on):
        counts = pause.cause in plan.rules.pause_moves.value and pause.seq > set_by
        if not counts or pause.on > due_on + moved:
            continue
        if pause.resumed_on is None:
            return None, pause.cause.label
        begun = max(pause.on, counted)
        if pause.resumed_on > begun:
            moved += pause.resumed_on - begun
            counted = pause.resumed_on
    return moved, None


def deadlines(facts: CaseFacts, plan: Plan) -> tuple[Deadline, ...]:
    """Every clock that runs for the case: its state's own first, then those of open matters."""
    own = due(facts, plan)
    if own.due_on is None or own.of is None:
        return tuple(matters(facts, plan))
    return (Deadline(own.of, own.seq, own.due_on), *matters(facts, plan))


# What the notice forbids by name (四、改造方式) has to be undone, not only answered.
_RESTORED = (
    ViolationType.KANG_SEALED,
    ViolationType.STOVE_REMOVED,
    ViolationType.COAL_CONFISCATED,
)


def matters(facts: CaseFacts, plan: Plan) -> Iterator[Deadline]:
    """The clocks of what waits for an answer: objections, complaints, forbidden acts to undo."""
    for matter in facts.matters:
        if matter.open and (clock := answer_by(matter, plan)) is not None:
            yield clock


def answer_by(matter: Matter, plan: Plan) -> Deadline | None:
    """By when an objection, complaint or forbidden act has or had to be answered; None for others.

    Whether it has been answered does not matter here.
    """
    rules = plan.rules
    match matter.kind:
        case FactKind.NOTICE:
            clock, days = Clock.OBJECTION, rules.objection_days.value
        case FactKind.COMPLAINT:
            clock, days = Clock.COMPLAINT, rules.complaint_days.value
        case FactKind.VIOLATION if matter.type in _RESTORED:
            clock, days = Clock.RESTITUTION, rules.restitution_days.value
        case _:
            return None
    return Deadline(clock, matter.seq, matter.recorded_on + timedelta(days=days))


def phase_of(state: State, plan: Plan) -> Clock | None:
    """The phase whose end a state is due by, None where no deadline runs.

    确村确户 and 设备选型 are due with their own phase, or with the works where that was historic.
    """
    if state is State.ACCEPTANCE:
        return Clock.ACCEPTANCE
    if state is State.CONSTRUCTION:
        return Clock.WORKS
    if state in STEPS_TO_GO:
        return Clock.WORKS if plan.historic(plan.phase("preparation")) else Clock.PREPARATION
    return None


def target_on(due_on: date, plan: Plan) -> date:
    """The last working day on or before a deadline."""
    return plan.calendar.last_workday(due_on)


def provisional(due_on: date, plan: Plan) -> bool:
    """Whether a deadline is 暂定: the holidays of its year are not known yet."""
    return not plan.calendar.known(due_on)


def overdue(due_on: date | None, as_of: date) -> bool:
    """Whether the deadline has passed."""
    return due_on is not None and as_of > due_on


def late_days(before: CaseFacts, event: Event, plan: Plan) -> int:
    """By how many days a step forward, or the answer to a matter, came after its deadline; else 0.

    `before` is what was known of the case when the event came.
    """
    due_on = None
    if event.kind in STEPS_TO_GO.get(before.state, ()):
        due_on = due(before, plan).due_on
    elif event.kind == FactKind.RESOLVE:
        answered = event.number("id")
        due_on = next((one.due_on for one in matters(before, plan) if one.seq == answered), None)
    return max(0, (event.occurred_on - due_on).days) if due_on else 0


def latest_start(state: State, due_on: date | None, plan: Plan) -> date | None:
    """The last day after which the remaining steps still have the working days they take.

    None where no deadline runs.
    """
    if due_on is None:
        return None
    lead = plan.rules.lead_days.value
    needed = sum(lead[trigger] for trigger in STEPS_TO_GO[state])
    return plan.calendar.before(target_on(due_on, plan), needed)


def at_risk(state: State, due_on: date | None, as_of: date, plan: Plan) -> bool:
    """Whether fewer working days are left than the remaining steps take; not when overdue."""
    if due_on is None or overdue(due_on, as_of):
        return False
    lead = plan.rules.lead_days.value
    needed = sum(lead[trigger] for trigger in STEPS_TO_GO[state])
    return plan.calendar.workdays_left(as_of, target_on(due_on, plan)) < needed


def missed_historic(state: State, select_on: date | None, plan: Plan, as_of: date) -> bool:
    """Whether the case missed, or still misses, a milestone that was past when the plan began.

    `select_on` is the day 设备选型 was finished, the last step of the plan's first phase.
    """
    preparation = plan.phase("preparation")
    if not plan.historic(preparation) or state is State.CLOSED or as_of <= preparation.end:
        return False
    return select_on is None or select_on > preparation.end
