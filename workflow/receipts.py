"""Idempotency keys: the same request under the same key is written once and answered the same.

A key is its officer's own: another's never meets it, and learns nothing of it. A receipt commits
with what it answers for, so that after a crash there are both or neither.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, text

from states.plan import Json
from workflow import bulk, journal, register, tables
from workflow.db import Database
from workflow.errors import Conflict

_RECEIPT = tables.RECEIPT
# Whose the keys are that stand for what is said, whoever says it; no officer has this login.
EVERYBODY = register.SYSTEM.login
Document = dict[str, Json]
_BATCH = 500


class Asked(Struct, frozen=True):
    """A command under a key: whose key, and a digest of all that was asked."""

    login: str
    key: str
    request: str


class Kept(Struct, frozen=True):
    """What is on record for a key: the last event it stands for, and the answer it got.

    No `answer` where the event itself gives it again.
    """

    seq: int
    answer: str | None


class Recorded(Struct, frozen=True):
    """What is on record for a key, and for which request."""

    request: str
    kept: Kept


_Name = tuple[str, str]  # whose the key is, and the key


def asked(login: str | None, key: str | None, request: Mapping[str, Json]) -> Asked | None:
    """The command as one under a key; None without a key."""
    if not key:
        return None
    return Asked(login or EVERYBODY, key, journal.digest(journal.canonical(dict(request))))


def find(connection: Connection, asked: Asked) -> Kept | None:
    """What is on record for this key, None when it is new.

    Raises Conflict where the officer used it for another request.
    """
    return answer(asked, on_record(connection, [asked]))


def on_record(connection: Connection, asked: Iterable[Asked]) -> dict[_Name, Recorded]:
    """What is on record for these keys, by owner and key; the new ones are left out."""
    names = {(one.login, one.key) for one in asked}
    found: dict[_Name, Recorded] = {}
    for login in sorted({login for login, _ in names}):
        keys = sorted(key for owner, key in names if owner == login)
        for key, request, seq, told in _recorded(connection, login, keys):
            found[login, key] = Recorded(request, Kept(seq, told))
    return found


def _recorded(
    connection: Connection, login: str, keys: Sequence[str]
) -> Iterator[tuple[str, str, int, str | None]]:
    query = _TOLD if journal.on_server(connection) else _RECORDED
    for start in range(0, len(keys), _BATCH):
        part = {"login": login, "keys": keys[start : start + _BATCH]}
        yield from map(tuple, connection.execute(query, part))


def answer(asked: Asked, recorded: Mapping[_Name, Recorded]) -> Kept | None:
    """What `find` answers, of what was read with `on_record`."""
    known = recorded.get((asked.login, asked.key))
    if known is None:
        return None
    if known.request != asked.request:
        raise reused(asked.key)
    return known.kept


def reused(key: str) -> Conflict:
    """The error for a key that stands for something else than what is asked."""
    return Conflict(
        f"幂等键“{key}”已用于另一条命令", place="--key", remedy="换一个键", code="key_reused"
    )


def keep(connection: Connection, asked: Asked, seq: int, answer: str | None = None) -> None:
    """Puts a key on record, in the transaction that writes what it stands for."""
    keep_all(connection, [(asked, Kept(seq, answer))])


def keep_all(connection: Connection, kept: Iterable[tuple[Asked, Kept]]) -> None:
    """Puts several keys on record."""
    rows = [
        {
            "login": asked.login,
            "key": asked.key,
            "request": asked.request,
            "seq": one.seq,
            "answer": one.answer,
        }
        for asked, one in kept
    ]
    if rows:
        _KEEP.write(connection, rows)


_KEEP = bulk.Rows(insert(_RECEIPT))
_TOLD = text("SELECT key, request, seq, answer FROM answers(:login, :keys)")
_RECORDED = select(_RECEIPT.c.key, _RECEIPT.c.request, _RECEIPT.c.seq, _RECEIPT.c.answer).where(
    _RECEIPT.c.login == bindparam("login"), _RECEIPT.c.key.in_(bindparam("keys", expanding=True))
)


def used(connection: Connection, login: str, keys: Sequence[str]) -> Mapping[str, int]:
    """Those of the keys that were used before, with the event that they led to."""
    return {key: seq for key, _, seq, _ in _recorded(connection, login, keys)}


def answered(database: Database, asked: Asked | None) -> Document | None:
    """The answer this request got before, marked `repeated`; None when it is new.

    Raises Conflict for a key of another request, NotPermitted for a login no longer in use.
    """
    if asked is None:
        return None
    with database.reading() as connection:
        if asked.login != EVERYBODY:
            register.actor(connection, asked.login)
        kept = find(connection, asked)
    return None if kept is None else _again(asked.key, kept)


def once(
    database: Database,
    asked: Asked | None,
    do: Callable[[Database], Document],
    *,
    done: Callable[[Document], bool] = lambda answer: True,
) -> Document:
    """Does what is asked and answers it; under a key only once, and the second time the same.

    All the transactions of `do` are one, and the receipt is part of it. Files that must not be
    there before the commit are written by the caller afterwards. `done` says whether an answer
    stands for something done: a refusal keeps no key. Raises what `do` does, and as `answered`.
    """
    if asked is None:
        return do(database)
    before = answered(database, asked)
    if before is not None:
        return before
    try:
        with ExitStack() as stack:
            whole = _Whole(database, stack, asked)
            answer: Document = {"repeated": False, **do(whole)}
            if done(answer):
                with whole.transaction() as connection:
                    seq, _ = journal.last_entry(connection)
                    keep(connection, asked, seq, json.dumps(answer, ensure_ascii=False))
    except _Overtaken as overtaken:
        return _again(asked.key, overtaken.kept)
    return answer


def _again(key: str, kept: Kept) -> Document:
    """What was answered. Raises Conflict where that is not to be read: it is no answer of ours."""
    try:
        answer = json.loads(kept.answer or "{}")
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise reused(key)
    return {**answer, "repeated": True}


class _Overtaken(Exception):
    """The same request was carried out between our look and our turn."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept


class _Whole(Database):
    """A database whose transactions are parts of one, which begins with the first of them."""

    def __init__(self, database: Database, stack: ExitStack, asked: Asked) -> None:
        vars(self).update(vars(database))
        self._database, self._stack, self._asked = database, stack, asked
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The one transaction, which a failure within takes back whole."""
        if self._connection is None:
            self._connection = self._stack.enter_context(self._database.transaction())
            kept = find(self._connection, self._asked)
            if kept is not None:
                raise _Overtaken(kept)
        # No savepoint: on a server a row's guards look for its event in the same transaction.
        yield self._connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """What stands in the database, with what this command wrote so far."""
        if self._connection is not None:
            yield self._connection
            return
        with self._database.reading() as connection:
            yield connection
