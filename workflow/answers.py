"""The stable JSON of design section 8: what every command answers, as plain dicts.

Instants are UTC, dates `YYYY-MM-DD`, identifiers those of the vocabulary. The screen shows the same
answers in Chinese. Here is what every command needs, failures first; the commands' own answers are
in `answers_daily` and the others, which import what they show for its types only: to list cases no
spreadsheet, mail or audit is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from workflow.instants import instant_text

if TYPE_CHECKING:
    from datetime import date, datetime

    from states.errors import CaseError, Reason
    from states.plan import Json

Document: TypeAlias = "dict[str, Json]"


def day(on: date | None) -> str | None:
    """A day as every answer writes it."""
    return None if on is None else on.isoformat()


def instant(at: datetime | None) -> str | None:
    """An instant as every answer writes it."""
    return None if at is None else instant_text(at)


def error(failure: CaseError) -> Document:
    """Any failure."""
    return {
        "error": {
            "status": failure.status,
            "code": failure.code,
            "message": failure.message,
            "place": failure.place,
            "remedy": failure.remedy,
            "reasons": [reason(one) for one in failure.reasons],
        }
    }


def reason(one: Reason) -> Document:
    """One unmet guard."""
    return {
        "guard": one.guard,
        "clause": one.clause,
        "message": one.message,
        "missing": list(one.missing),
        "who": one.who,
        "earliest": day(one.earliest),
        "earliest_reason": one.earliest_reason,
    }
