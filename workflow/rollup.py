"""Several plans at a glance: counties and years, in one server's database or in several files.

Each plan's line is made by its own rules on its own day, as its own reports are; nothing is added
up that they do not say.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from msgspec import Struct
from sqlalchemy import Connection

from states.plan import Plan
from states.vocabulary import State, Trigger
from workflow import cases, db, progress, register
from workflow.cases import Clocks
from workflow.db import Database


class Line(Struct, frozen=True):
    """One plan on its day: households by the annex, registered, and how far they are.

    `completed` and `accepted` are past the works and past acceptance today; all count every quota,
    closed cases apart.
    """

    place: str
    plan: str
    title: str
    drill: bool
    as_of: date
    task: int
    registered: int
    completed: int
    accepted: int
    permitted: int
    closed: int
    overdue: int
    at_risk: int


def line(database: Database, place: str, clocks: Clocks) -> Line:
    """What is to be said of one plan. Raises JournalBroken."""
    with database.reading() as connection:
        plan = register.plan_in_force(connection)
        return _line(connection, plan, place, clocks)


def _line(connection: Connection, plan: Plan, place: str, clocks: Clocks) -> Line:
    found = cases.positions(connection, plan, clocks)
    going = [one for one in found if one.state is not State.CLOSED]
    done = progress.of(plan, clocks.as_of, found).total.steps
    return Line(
        place=place,
        plan=plan.name,
        title=f"{plan.county} {plan.year}",
        drill=register.is_drill(connection),
        as_of=clocks.as_of,
        task=plan.totals.households,
        registered=len(going),
        completed=done[Trigger.COMPLETE].done,
        accepted=done[Trigger.ACCEPT].done,
        permitted=sum(one.state is State.REMOVAL_PERMITTED for one in going),
        closed=len(found) - len(going),
        overdue=sum(one.overdue for one in going),
        at_risk=sum(one.at_risk for one in going),
    )


SUMS = (
    *("task", "registered", "completed", "accepted"),
    *("permitted", "closed", "overdue", "at_risk"),
)


def total(lines: Sequence[Line]) -> dict[str, int]:
    """The sums over the real plans; a drill is shown, and counts for nothing."""
    real = [one for one in lines if not one.drill]
    return {name: sum(getattr(one, name) for one in real) for name in SUMS}


def of(urls: Iterable[str], clocks_of: Callable[[Database], Clocks]) -> list[Line]:
    """A line for each plan in these databases, in their order.

    `clocks_of` looks at a database first: who may see it, and on which day. Raises what it does.
    """
    found = []
    for url in (plan for given in urls for plan in db.each_plan(given)):
        database = db.connect(url)
        try:
            found.append(line(database, db.shown(url), clocks_of(database)))
        finally:
            database.close()
    return found
