"""When each step is due, and whether it is late or about to be (design, section 8).

Lateness is computed from dates, always; nothing counts days. All dates are the county's.
"""

from dataclasses import dataclass
from datetime import date

from states.facts import CaseFacts
from states.plan import Plan
from states.vocabulary import State, Trigger
from states.workdays import last_workday, workdays_left

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


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: `due_on` with extensions, `plan_due_on` without; both None with a reason."""

    due_on: date | None
    plan_due_on: date | None
    due_reason: str

    @property
    def target_on(self) -> date | None:
        """The last working day on or before the deadline."""
        return last_workday(self.due_on) if self.due_on else None


def due(facts: CaseFacts, plan: Plan) -> Due:
    """The deadline that runs for the case in its present state."""
    phase = phase_of(facts.state, plan)
    if phase is None:
        return Due(None, None, NO_DEADLINE[facts.state])
    plan_due, reason = plan.phase(phase).end, f"{plan.phase(phase).label}阶段截止"
    put_right = facts.put_right
    if put_right and facts.state is State.ACCEPTANCE:
        plan_due, reason = max(plan_due, put_right[1]), f"整改期限（编号 {put_right[0]}）"
    elif put_right:
        plan_due, reason = put_right[1], f"整改期限（编号 {put_right[0]}）"
    clock = put_right[0] if put_right else None
    extended = [
        extension
        for extension in facts.extensions
        if extension.put_right == clock and phase_of(extension.state, plan) == phase
    ]
    if not extended:
        return Due(plan_due, plan_due, reason)
    last = extended[-1]
    return Due(last.due_on, plan_due, f"经批准延期（编号 {last.seq}）")


def phase_of(state: State, plan: Plan) -> str | None:
    """The phase whose end a state is due by, None where no deadline runs.

    确村确户 and 设备选型 are due with their own phase, or with the works where that was historic.
    """
    if state is State.ACCEPTANCE:
        return "acceptance"
    if state is State.CONSTRUCTION:
        return "works"
    if state in STEPS_TO_GO:
        return "works" if plan.historic(plan.phase("preparation")) else "preparation"
    return None


def overdue(due_on: date | None, as_of: date) -> bool:
    """Whether the deadline has passed."""
    return due_on is not None and as_of > due_on


def at_risk(state: State, due_on: date | None, as_of: date, plan: Plan) -> bool:
    """Whether fewer working days are left than the remaining steps take; not when overdue."""
    if due_on is None or overdue(due_on, as_of):
        return False
    lead = plan.rules.lead_days.value
    needed = sum(lead[trigger] for trigger in STEPS_TO_GO[state])
    return workdays_left(as_of, last_workday(due_on)) < needed


def missed_historic(state: State, select_on: date | None, plan: Plan, as_of: date) -> bool:
    """Whether the case missed, or still misses, a milestone that was past when the plan began.

    `select_on` is the day 设备选型 was finished, the last step of the plan's first phase.
    """
    preparation = plan.phase("preparation")
    if not plan.historic(preparation) or state is State.CLOSED or as_of <= preparation.end:
        return False
    return select_on is None or select_on > preparation.end
