"""The gravest alarm: an old facility gone and no working heat, in winter (design, section 3)."""

from datetime import date

from states import season
from states.facts import CaseFacts
from states.plan import Plan


def gravest(facts: CaseFacts, plan: Plan, as_of: date) -> str | None:
    """Why this household is without both heats today, None when it is not.

    In every state, closed too. Between known seasons the alarm rests; where no season is known it
    does not.
    """
    if not facts.facility_gone or season.running(facts, plan, as_of) is False:
        return None
    if facts.working_since is None or facts.working_since > as_of:
        return "原取暖设施已拆除或封存，新设施尚不具备使用条件"
    outage = season.open_outage(facts, plan)
    return f"原取暖设施已拆除或封存，{outage}" if outage else None
