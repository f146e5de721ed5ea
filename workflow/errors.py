"""The part of the error tree that only the memory can run into."""

from states.errors import CaseError, JournalBroken

__all__ = ["BadFile", "Conflict", "JournalBroken", "NotPermitted", "ServerGone"]


class BadFile(CaseError):
    """A file that was handed in cannot be used; nothing of it was taken."""

    status = 3
    code = "bad_file"


class ServerGone(BadFile):
    """The server ended the connection: that says nothing of what it keeps."""


class Conflict(CaseError):
    """Somebody else was first, or the same key stands for another command."""

    status = 4
    code = "conflict"


class NotPermitted(CaseError):
    """Not this officer's to do, or no such case for this officer: the two look alike."""

    status = 5
    code = "not_permitted"
