"""The rungs of an alarm: 提醒, 黄, 橙, 红, and who is told on each. Their days are the plan's."""

from datetime import date, timedelta

from msgspec import Struct

from states.plan import Plan
from states.vocabulary import Clock, Level, Role
from states.workdays import ONE_DAY


class Rung(Struct, frozen=True):
    """One rung of a deadline's ladder.

    `days` are calendar days before the deadline on a reminder, working days after it otherwise.
    """

    level: Level
    days: int

    @property
    def name(self) -> str:
        """The rung's identifier, the last part of a flag's key: `remind_14`, `yellow`."""
        return f"{self.level}_{self.days}" if self.level is Level.REMIND else str(self.level)

    @property
    def label(self) -> str:
        """The rung as people read it."""
        return f"到期前 {self.days} 天提醒" if self.level is Level.REMIND else self.level.label


class Standing(Struct, frozen=True):
    """Where a deadline stands on its ladder on a day: the rungs reached, and when the next comes.

    The last of `reached` is the one to tell of; those before it are superseded.
    """

    reached: tuple[Rung, ...]
    next_on: date | None


def ladder(due_on: date, plan: Plan) -> tuple[tuple[date, Rung], ...]:
    """Every rung of a deadline with the day on which it is reached, in order."""
    reminders = sorted(plan.rules.reminders.value, reverse=True)
    rungs = [(due_on - timedelta(days=d), Rung(Level.REMIND, d)) for d in reminders]
    rungs.append((due_on + ONE_DAY, Rung(Level.YELLOW, 0)))
    for level in (Level.ORANGE, Level.RED):
        days = plan.rules.escalation.value[level]
        rungs.append((plan.calendar.after(due_on, days), Rung(level, days)))
    return tuple(rungs)


def standing(due_on: date, as_of: date, plan: Plan) -> Standing:
    """Which rungs a deadline has reached on a day."""
    rungs = ladder(due_on, plan)
    reached = tuple(rung for on, rung in rungs if on <= as_of)
    return Standing(reached, next((on for on, _ in rungs if on > as_of), None))


# Who has the work in hand, for each kind of clock: they hear of every rung.
_IN_HAND = {
    Clock.PREPARATION: (Role.UNIT_OFFICER,),
    Clock.WORKS: (Role.UNIT_OFFICER,),
    Clock.PUT_RIGHT: (Role.UNIT_OFFICER,),
    Clock.ACCEPTANCE: (Role.ACCEPTOR, Role.UNIT_OFFICER),
    Clock.OBJECTION: (Role.UNIT_OFFICER, Role.UNIT_HEAD),
    Clock.COMPLAINT: (Role.UNIT_OFFICER, Role.COUNTY_OFFICE),
    Clock.RESTITUTION: (Role.UNIT_OFFICER, Role.COUNTY_OFFICE),
}
# Who hears of it besides, once it is that late.
_BESIDES = {
    Level.REMIND: (),
    Level.YELLOW: (),
    Level.ORANGE: (Role.UNIT_HEAD,),
    Level.RED: (Role.UNIT_HEAD, Role.COUNTY_OFFICE),
}


def told(clock: Clock, level: Level) -> frozenset[Role]:
    """The roles that are told of a rung; the gravest alarm goes to everybody."""
    if level is Level.GRAVEST:
        return frozenset(Role) - {Role.SYSTEM}
    return frozenset((*_IN_HAND[clock], *_BESIDES[level]))
