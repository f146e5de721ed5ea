"""What an examination says of one thing."""

from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """How a check came out: a fault must be mended, a warning should be looked at."""

    GOOD = "good"
    WARNING = "warning"
    FAULT = "fault"


class Check(Struct, frozen=True):
    """One thing that was looked at, in words."""

    name: str
    health: Health
    message: str
    remedy: str | None = None


def good(name: str, message: str) -> Check:
    """That it is as it should be."""
    return Check(name, Health.GOOD, message)


def mib(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1024 / 1024:.1f} MiB"
