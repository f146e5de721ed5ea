"""What the back-scheduled plan asks for beside what is done, per unit, step and month."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction

from msgspec import Struct
from sqlalchemy import Connection

from states import schedule
from states.deadlines import STEPS_TO_GO
from states.plan import LEAD_TRIGGERS, Plan
from states.vocabulary import State, Trigger
from workflow import cases
from workflow.cases import Clocks, Position


class StepProgress(Struct, frozen=True):
    """How far one step is: planned by the day, done, and planned by each month's end."""

    target_on: date
    planned: int
    done: int
    by_month: Mapping[str, int]

    @property
    def behind(self) -> int:
        """How many households fewer than planned; 0 when on time or ahead."""
        return max(0, self.planned - self.done)


class UnitProgress(Struct, frozen=True):
    """A unit's steps, or the county's."""

    task: int
    steps: Mapping[Trigger, StepProgress]


class Progress(Struct, frozen=True):
    """倒排工期 beside the work done; `total` adds the units up, line by line."""

    as_of: date
    by_unit: Mapping[str, UnitProgress]
    total: UnitProgress


def progress(
    connection: Connection, plan: Plan, clocks: Clocks, units: Sequence[str] | None = None
) -> Progress:
    """Every unit's curve and position on these clocks.

    A step is done by the households that are past it today, whatever their quota, closed ones left
    out: one that was sent back has it to do again.
    """
    return of(plan, clocks.as_of, cases.positions(connection, plan, clocks, units), units)


def of(
    plan: Plan, as_of: date, positions: Iterable[Position], units: Sequence[str] | None = None
) -> Progress:
    """The same from these positions of the day, where the caller has them already."""
    going = [position for position in positions if position.state is not State.CLOSED]
    by_unit = {}
    for unit in plan.units:
        if units is not None and unit.code not in units:
            continue
        mine = [position.state for position in going if position.unit == unit.code]
        by_unit[unit.code] = _unit(plan, unit.task, mine, as_of)
    return Progress(as_of, by_unit, _total(plan, list(by_unit.values())))


def _unit(plan: Plan, task: int, states: Sequence[State], as_of: date) -> UnitProgress:
    ends = schedule.months(plan)
    steps = {}
    for trigger, target in schedule.targets(plan).items():
        by_month = {
            month: schedule.planned(plan, task, trigger, end) for month, end in ends.items()
        }
        steps[trigger] = StepProgress(
            target,
            schedule.planned(plan, task, trigger, as_of),
            sum(past(state, trigger) for state in states),
            by_month,
        )
    return UnitProgress(task, steps)


def past(state: State, trigger: Trigger) -> bool:
    """Whether a case in this state, if it is not closed, has the step behind it."""
    ahead = STEPS_TO_GO.get(state, ())[:1]
    return not ahead or LEAD_TRIGGERS.index(ahead[0]) > LEAD_TRIGGERS.index(trigger)


def ranks(plan: Plan, households: Mapping[str, int]) -> Mapping[str, int]:
    """The townships by what share of their task these households are; equals share a rank."""
    shares = {
        unit.code: Fraction(households[unit.code], unit.task)
        for unit in plan.units
        if unit.kind == "township" and unit.task
    }
    return {
        code: 1 + sum(other > mine for other in shares.values()) for code, mine in shares.items()
    }


def _total(plan: Plan, lines: Sequence[UnitProgress]) -> UnitProgress:
    steps = {}
    for trigger, target in schedule.targets(plan).items():
        found = [line.steps[trigger] for line in lines]
        by_month = {
            month: sum(step.by_month[month] for step in found) for month in schedule.months(plan)
        }
        steps[trigger] = StepProgress(
            target, sum(s.planned for s in found), sum(s.done for s in found), by_month
        )
    return UnitProgress(sum(line.task for line in lines), steps)
