"""The gravest alarm: an old facility gone and no working heat, in winter (design, section 3)."""

from datetime import date

from msgspec import Struct

from states import season
from states.facts import GONE, SEALING, CaseFacts
from states.plan import Plan
from states.workdays import ONE_DAY


class Gravest(Struct, frozen=True):
    """A household without both heats: why, and which spell without heat it is.

    `spell` stays the same as long as the spell lasts within one winter, so that it is told once.
    """

    why: str
    spell: str


def gravest(facts: CaseFacts, plan: Plan, as_of: date) -> Gravest | None:
    """Why this household is without both heats today, None when it is not.

    In every state, closed too. Between known seasons the alarm rests; where no season is known it
    does not.
    """
    if not facts.facility_gone or season.running(facts, plan, as_of) is False:
        return None
    winter = season.winter(facts, plan, as_of) or f"unknown-{as_of.year}"
    if facts.working_since is None or facts.working_since > as_of:
        why = "原取暖设施已拆除或封存，新设施尚不具备使用条件"
        return Gravest(why, f"{winter}:not_ready")
    outage = season.outage_open(facts, plan)
    if outage is None:
        return None
    since, what = outage
    return Gravest(f"原取暖设施已拆除或封存，{what}", f"{winter}:{since}")


def without_heat_since(facts: CaseFacts, plan: Plan) -> date | None:
    """Since when this household has been without both heats, in season or not; None if it is not.

    Outside a season nobody need be alarmed, but it has to be looked at when one begins.
    """
    if not facts.facility_gone:
        return None
    days = [record.on for record in facts.facility_status.values() if record.status in GONE]
    days += [matter.on for matter in facts.open_matters if matter.type in SEALING]
    if facts.working_since is None:
        return min(days)
    outage = season.outage_open(facts, plan)
    return max(min(days), outage[0]) if outage else None


def next_look(facts: CaseFacts, plan: Plan, as_of: date) -> date:
    """The first day after `as_of` on which `gravest` may answer otherwise though nothing happens.

    A season begins or ends, or the year turns by which a season without dates goes.
    """
    days = [date(as_of.year + 1, 1, 1)]
    for known in season.known_seasons(facts, plan):
        days += [known.first_day, known.last_day + ONE_DAY]
    return min(day for day in days if day > as_of)
