"""An instant as the journal writes it: text that every database sorts alike."""

from datetime import UTC, datetime
from functools import lru_cache

FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@lru_cache(maxsize=256)  # all that is written at once bears the same
def instant_text(instant: datetime) -> str:
    """An aware instant as the journal writes it, in UTC with microseconds."""
    return instant.astimezone(UTC).strftime(FORMAT)


def instant_of(text: str) -> datetime:
    """The aware UTC instant of what `instant_text` wrote."""
    return datetime.fromisoformat(text)
