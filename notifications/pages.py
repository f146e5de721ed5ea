"""What stands at the head and foot of every page that people look at, as plain values."""

from collections.abc import Sequence
from datetime import date, datetime

from msgspec import Struct


class Head(Struct, frozen=True, kw_only=True):
    """A page's title, the clocks it was drawn on, and what its figures cannot be trusted for.

    `as_of` is the day of the figures; `known_at` the instant (aware) of what the ledger said, None
    for all that is on record. `seq` is the last event that counts, `recorded_until` its instant.
    `unverified` names the policy parameters that the figures rest on and nobody has verified;
    `cautions` are whole sentences that a reader must see first.
    """

    title: str
    county: str
    plan_title: str
    plan_document: str
    as_of: date
    recorded_until: datetime
    seq: int
    known_at: datetime | None = None
    drill: bool = False
    unverified: Sequence[str] = ()
    cautions: Sequence[str] = ()
