"""倒排工期, 按月量化: how many households should have each step behind them by a day.

The last step of each phase is due on the phase's last working day: `complete` with the works,
`accept` with the acceptance, `select` with the preparation or, where that was historic, before the
works. The steps before it in the same phase are scheduled backwards from there by the plan's lead
days. A unit's curve for a step begins when the plan took effect plus the lead days of the steps up
to and including it, rises evenly over the working days, in whole households, and reaches the unit's
task exactly on the target day.

So no step is ever planned ahead of the one before it, and the units together never exceed what the
county would have as one.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from states.deadlines import STEPS_TO_GO, phase_of
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import Trigger
from states.workdays import ONE_DAY

_STATE_OF = {steps[0]: state for state, steps in STEPS_TO_GO.items()}


def targets(plan: Plan) -> Mapping[Trigger, date]:
    """The working day by which every household should have each step behind it, in their order."""
    found: dict[Trigger, date] = {}
    after: Trigger | None = None
    for trigger in reversed(LEAD_TRIGGERS):
        phase = phase_of(_STATE_OF[trigger], plan)
        assert phase is not None
        if after is None or phase is not phase_of(_STATE_OF[after], plan):
            day = plan.phase(phase).end
        else:
            day = plan.calendar.before(found[after], plan.rules.lead_days.value[after])
        found[trigger] = plan.calendar.last_workday(day)
        after = trigger
    return {trigger: found[trigger] for trigger in LEAD_TRIGGERS}


def begins_on(plan: Plan, trigger: Trigger) -> date:
    """The day after which the first households can have the step behind them.

    A phase that the notice begins later begins its last step then: acceptance is a fortnight in
    October, not a curve from June on.
    """
    upto = LEAD_TRIGGERS[: LEAD_TRIGGERS.index(trigger) + 1]
    lead = plan.rules.lead_days.value
    begins = plan.calendar.after(plan.effective_from, sum(lead[step] for step in upto))
    start = plan.phase("acceptance").start if trigger is Trigger.ACCEPT else None
    return max(begins, start - ONE_DAY) if start else begins


def planned(plan: Plan, task: int, trigger: Trigger, day: date) -> int:
    """How many of `task` households should have the step behind them at the end of a day.

    Where the target day comes before the steps can be done at all, none until then.
    """
    target = targets(plan)[trigger]
    if day >= target:
        return task
    begins = begins_on(plan, trigger)
    if day <= begins:
        return 0
    calendar = plan.calendar
    return task * calendar.workdays_left(begins, day) // calendar.workdays_left(begins, target)


def months(plan: Plan) -> Mapping[str, date]:
    """The months of the curve, `2023-05`, each with its last day: from the plan's effect on."""
    last = max(targets(plan).values())
    found = {}
    day = plan.effective_from
    while (day.year, day.month) <= (last.year, last.month):
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        found[f"{day:%Y-%m}"] = following - timedelta(days=1)
        day = following
    return found
