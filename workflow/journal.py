"""The journal: the truth, of which every other table is a projection (docs/journal.md).

`Pen` is the one append path: it gives each event its seq, chains and hashes its canonical bytes,
and writes them all at once. Nothing else inserts into the table.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from itertools import chain, groupby
from operator import attrgetter
from typing import cast

from msgspec import Struct, field
from msgspec.json import Decoder
from sqlalchemy import (
    ARRAY,
    Connection,
    Executable,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    case,
    column,
    func,
    insert,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.exc import DataError
from sqlalchemy.sql.elements import ColumnElement

from states.errors import MISSHAPEN, unreadable
from states.facts import BESIDE, ONWARD, Actor, Attached, Event, fold
from states.plan import Json, Plan
from states.vocabulary import FactKind, Role, State, Trigger
from states.workdays import SHANGHAI, local_date, local_minute
from workflow import bulk, tables
from workflow.errors import Conflict, JournalBroken, NotPermitted
from workflow.instants import instant_of, instant_text
from workflow.keyring import Hand

SCHEMA = 1
QUARANTINE, QUARANTINED = "quarantine", "quarantine_confirmed"
# A clock that lags by less than this is set back by a time server, not by a person.
CLOCK_SLACK = timedelta(minutes=1)
_TABLE = tables.JOURNAL
_INSERT = bulk.Rows(insert(_TABLE))


class Draft(Struct, frozen=True):
    """What is to be appended; the pen adds seq, chain, clock, actor and plan."""

    stream: str
    kind: str
    occurred_on: date
    evidence: Mapping[str, Json]
    source: State | None = None
    target: State | None = None
    reason: str | None = None
    attachments: tuple[Attached, ...] = ()
    personal: str | None = None


class Head(Struct, frozen=True):
    """The end of a stream: version 0 and no hash before its first event."""

    version: int = 0
    hash: str | None = None


def canonical(document: Mapping[str, Json]) -> bytes:
    """The bytes that are hashed: sorted keys, no blanks, UTF-8."""
    return _CANONICAL.encode(document).encode()


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(body: bytes | str) -> str:
    """SHA-256 in hex; a text, as tampering can leave where bytes belong, by its UTF-8."""
    return hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()


class Pen:
    """Appends within one write transaction; `write` puts down everything that was added.

    Raises Conflict when the clock stands before the last entry. What an officer with a key adds is
    signed: `add` raises what `Hand.sign` does.
    """

    def __init__(self, connection: Connection, actor: Actor, now: datetime, plan: Plan) -> None:
        self.connection = connection
        self.actor = actor
        self.now = now
        self.plan = plan
        self._heads: dict[str, Head] = {}
        self._rows: list[dict[str, object]] = []
        seq, last = last_entry(connection)
        self._seq = seq
        if last is not None and now < last:
            if last - now > CLOCK_SLACK:
                raise Conflict(
                    f"电脑时间 {local_minute(now)} 早于日志最后一条的时间 "
                    f"{local_minute(last)}（北京时间）",
                    remedy="校正电脑时间后再试；没有写入任何内容",
                    code="clock_behind",
                )
            self.now = last
        # Nobody can have a key before there is a journal.
        policy = plan.signed if seq else frozenset[str]()
        self._hand = Hand(connection, actor, local_date(self.now), policy)

    def know(self, stream: str, head: Head) -> None:
        """Tells the pen where a stream ends, so that it need not ask."""
        self._heads.setdefault(stream, head)

    def forget(self, stream: str) -> None:
        """Lets go of a stream whose events are written; its end is asked for when next needed."""
        self._heads.pop(stream, None)

    def add(self, draft: Draft) -> Event:
        """The event that the draft becomes; it is in the database after `write`."""
        head = self._heads.get(draft.stream) or head_of(self.connection, draft.stream)
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "stream": draft.stream,
            "version": head.version + 1,
            "previous": head.hash,
            "kind": draft.kind,
            "from": draft.source,
            "to": draft.target,
            "occurred_on": draft.occurred_on.isoformat(),
            "recorded_at": instant_text(self.now),
            "actor": self.actor.login,
            "role": self.actor.role,
            "reason": draft.reason,
            "evidence": dict(draft.evidence),
            "attachments": [{"name": a.name, "sha256": a.sha256} for a in draft.attachments],
            "plan": self.plan.hash,
            "personal": draft.personal,
        }
        body = canonical(document)
        hash_ = digest(body)
        signature = self._hand.sign(draft.stream, draft.kind, body)
        self._seq += 1
        self._heads[draft.stream] = Head(head.version + 1, hash_)
        self._rows.append(
            {
                "seq": self._seq,
                "stream": draft.stream,
                "version": head.version + 1,
                "previous": head.hash,
                "kind": draft.kind,
                "from_state": draft.source,
                "to_state": draft.target,
                "occurred_on": draft.occurred_on,
                "recorded_at": self.now,
                "actor": self.actor.login,
                "role": self.actor.role,
                "hash": hash_,
                "body": body,
                "signature": signature,
            }
        )
        return Event(
            seq=self._seq,
            stream=draft.stream,
            version=head.version + 1,
            previous=head.hash,
            kind=draft.kind,
            source=draft.source,
            target=draft.target,
            occurred_on=draft.occurred_on,
            recorded_at=self.now,
            actor=self.actor.login,
            person=self.actor.person,
            role=self.actor.role,
            reason=draft.reason,
            evidence=document["evidence"] if isinstance(document["evidence"], dict) else {},
            attachments=draft.attachments,
            plan=self.plan.hash,
            personal=draft.personal,
            hash=hash_,
        )

    def write(self) -> None:
        """Puts everything added so far into the database."""
        if self._rows:
            _INSERT.write(self.connection, self._rows)
            self._rows = []


_LAST = select(_TABLE.c.seq, _TABLE.c.recorded_at).order_by(_TABLE.c.seq.desc()).limit(1)
_HEAD = (
    select(_TABLE.c.version, _TABLE.c.hash)
    .where(_TABLE.c.stream == bindparam("stream"))
    .order_by(_TABLE.c.version.desc())
    .limit(1)
)
# On a server the end may be an event that this officer may not read.
_END = text("SELECT seq, recorded_at FROM journal_end()")
_STREAM_END = text("SELECT version, hash FROM stream_end(:stream)")


def last_entry(connection: Connection) -> tuple[int, datetime | None]:
    """Seq and instant of the last event, whoever's; 0 and None in an empty journal."""
    if on_server(connection):
        end = connection.execute(_END).first()
        return (end.seq, instant_of(end.recorded_at)) if end else (0, None)
    row = connection.execute(_LAST).first()
    return (row.seq, row.recorded_at) if row else (0, None)


def head_of(connection: Connection, stream: str) -> Head:
    """Where a stream ends."""
    if on_server(connection):
        end = connection.execute(_STREAM_END, {"stream": stream}).first()
        return Head(end.version, end.hash) if end else Head()
    row = connection.execute(_HEAD, {"stream": stream}).first()
    return Head(row.version, row.hash) if row else Head()


# Whoever is above the rows' policies is no officer: he owns or administers the database.
_READS_ALL = text("SELECT NOT row_security_active('journal') OR my_scope() = '*'")


def reads_all(connection: Connection) -> bool:
    """Whether this account may read every event: on a server, a unit's reads its own cases'."""
    if not on_server(connection):
        return True
    return bool(connection.execute(_READS_ALL).scalar_one())


def require_all(connection: Connection) -> None:
    """Raises NotPermitted for who sees only part: what is hidden from him is not missing."""
    if not reads_all(connection):
        raise NotPermitted(
            "这要核对全部日志，本单位的账号只看得到其中一部分",
            place="journal",
            remedy="请县清洁取暖办或审计人员的账号办理",
        )


# The journal is read by its bytes; the columns beside them are for finding and for the triggers.
_READ = select(_TABLE.c.seq, _TABLE.c.stream, _TABLE.c.hash, _TABLE.c.body).order_by(_TABLE.c.seq)
_STREAMS = "seq", "stream", "version", "kind", "occurred_on", "hash", "body"
# On a server an officer's own conditions find nothing by an index, for the policies come before
# them (`access.setup`): some streams' events are asked of a function there.
_EVENTS = func.events(bindparam("streams", type_=ARRAY(Text))).table_valued(
    *(column(name, _TABLE.c[name].type) for name in _STREAMS)
)
_BATCH = 500


@cache
def _in_streams(server: bool) -> FromClause:
    """The events of the streams that the parameter `streams` names."""
    if server:
        return _EVENTS
    wanted = _TABLE.c.stream.in_(bindparam("streams", expanding=True))
    return select(*(_TABLE.c[name] for name in _STREAMS)).where(wanted).subquery()


@cache
def _told(server: bool) -> Select[tuple[int, str, str, bytes]]:
    told = _in_streams(server).c
    return select(told.seq, told.stream, told.hash, told.body).order_by(told.seq)


def on_server(connection: Connection) -> bool:
    """Whether some rows are asked of functions, since conditions find nothing by an index."""
    return connection.dialect.name == "postgresql"


def read_streams(
    connection: Connection,
    streams: Sequence[str],
    persons: Mapping[str, str],
    *,
    known_at: datetime | None = None,
    until: date | None = None,
    checked: bool = True,
) -> dict[str, list[Event]]:
    """The events of the streams in order, each checked against its chain.

    `persons` maps logins to persons; `known_at` leaves out what was recorded later, and `until`,
    for who only reads, what happened later and can tell nothing of that day. Raises JournalBroken
    when bytes, hash and chain do not agree; who only reads (`checked` is false) reads on, as long
    as the bytes can be read at all (design, section 7). A case under quarantine that cannot be read
    or folded is left out then.
    """
    found: dict[str, list[Event]] = {stream: [] for stream in streams}
    passed: set[str] = set()
    query = _told(on_server(connection))
    if until is not None and not checked:
        # A correction counts from its recording, whatever day it gives what it rights.
        righted = select(_TABLE.c.stream).where(_TABLE.c.kind == FactKind.CORRECT)
        told = _in_streams(on_server(connection)).c
        tells = told.occurred_on <= until, told.kind == "registered"
        query = query.where(or_(*tells, told.stream.in_(righted)))
    for start in range(0, len(streams), _BATCH):
        named = {"streams": streams[start : start + _BATCH]}
        for event in _events(connection, query, named, persons, passed, checked=checked):
            if known_at is None or event.recorded_at <= known_at:
                found[event.stream].append(event)
    if not checked:
        # Rarely is there one: only of these need anybody know beforehand whether they make sense.
        for stream in quarantined(connection) & found.keys():
            if not _makes_sense(stream, found[stream]):
                passed.add(stream)
    return {stream: events for stream, events in found.items() if stream not in passed}


def _makes_sense(stream: str, events: Sequence[Event]) -> bool:
    try:
        fold(stream.removeprefix("case:"), events)
    except JournalBroken:
        return False
    return True


def read_cases(
    connection: Connection,
    persons: Mapping[str, str],
    *,
    known_at: datetime | None = None,
    checked: bool = True,
    passed_over: dict[str, int] | None = None,
) -> Iterator[tuple[str, list[Event]]]:
    """Every case's code and events, checked as by `read_streams`. Raises JournalBroken.

    One case is in memory at a time; they come in the database's own order of streams. With
    `passed_over` nothing is raised for what cannot be read: the stream is left out, and told there
    with the first such event's seq.
    """
    passed: set[str] = set()
    closed_ = frozenset[str]() if checked else quarantined(connection)
    query = _READ.where(_TABLE.c.stream.like("case:%")).order_by(None)
    query = query.order_by(_TABLE.c.stream, _TABLE.c.version).execution_options(yield_per=_BATCH)
    events = _events(
        connection, query, {}, persons, passed, checked=checked, passed_over=passed_over
    )
    for stream, told in groupby(events, key=attrgetter("stream")):
        known = [event for event in told if known_at is None or event.recorded_at <= known_at]
        if stream in closed_ and not _makes_sense(stream, known):
            continue
        if known and stream not in passed:
            yield stream.removeprefix("case:"), known


def quarantined(connection: Connection) -> frozenset[str]:
    """The streams of the cases that county office and auditor have put under quarantine."""
    found = closed(bodies(connection, QUARANTINE, [QUARANTINED]))
    return frozenset(f"case:{code}" for code in found)


@lru_cache(maxsize=8)
def closed(confirmed: tuple[bytes, ...]) -> frozenset[str]:
    """The codes of the cases that these events confirm the quarantine of."""
    return frozenset(json.loads(body)["evidence"]["code"] for body in confirmed)


class Line(Struct, frozen=True):
    """A case's events by their columns: how many, and the first day of each step.

    `redone_on` is the first `reject`, `overturn` or `replace`; `completed_heard` is when the first
    `complete` was recorded.
    """

    version: int
    begins_on: date
    registered_on: date | None
    first: tuple[date | None, ...]
    redone_on: date | None
    completed_heard: datetime | None
    onward_only: bool


_REDONE = (Trigger.REJECT, Trigger.OVERTURN, Trigger.REPLACE)
_STEPS = ("registered", *ONWARD)
_PLAIN = (*_STEPS, *BESIDE)


def lines(
    connection: Connection, known_at: datetime | None, codes: Sequence[str] | None = None
) -> dict[str, Line]:
    """The line of every case heard of by `known_at`, by its code; `first` in the order of `ONWARD`.

    The bodies stay unread: this is for finding and counting, forty thousand events in a moment.
    With `codes`, of these cases alone, as many as one statement takes. `onward_only` says that the
    stream holds nothing but `ONWARD` and `BESIDE`, what was heard later included, and that no step
    was heard of twice.
    """
    kind, on, heard_at = _TABLE.c.kind, _TABLE.c.occurred_on, _TABLE.c.recorded_at
    heard = true() if known_at is None else heard_at <= known_at

    def first(*kinds: str) -> ColumnElement[date | None]:
        return func.min(case((and_(kind.in_(kinds), heard), on)))

    query = (
        select(
            _TABLE.c.stream,
            func.max(case((heard, _TABLE.c.version))),
            func.min(case((heard, on))),
            first("registered"),
            first(*_REDONE),
            func.min(case((and_(kind == Trigger.COMPLETE, heard), heard_at))),
            func.sum(case((kind.in_(_PLAIN), 0), else_=1)),
            func.sum(case((and_(kind.in_(_STEPS), heard), 1), else_=0)),
            *(first(trigger) for trigger in ONWARD),
        )
        .where(_TABLE.c.stream.like("case:%"))
        .group_by(_TABLE.c.stream)
    )
    if codes is not None:
        query = query.where(_TABLE.c.stream.in_([f"case:{code}" for code in codes]))
    # `all` at once: a fetch for each row would take as long as the reading.
    try:
        rows = connection.execute(query).all()
    except (ValueError, DataError):
        # A day that no calendar has. Of a case under quarantine nobody needs to know it.
        left_out = quarantined(connection)
        if not left_out:
            raise
        rows = connection.execute(query.where(_TABLE.c.stream.not_in(left_out))).all()
    found = {}
    for stream, version, begins, *rest in rows:
        if version is None:
            continue
        registered, redone, completed, odd, steps, *days = rest
        once = steps == sum(day is not None for day in (registered, *days))
        found[stream.removeprefix("case:")] = Line(
            version, begins, registered, tuple(days), redone, completed, once and not odd
        )
    return found


def cases_saying(connection: Connection, kinds: Iterable[str], words: Iterable[str]) -> set[str]:
    """The codes of the cases with an event of these kinds in whose bytes one of the words is."""
    query = select(_TABLE.c.stream, _TABLE.c.body).where(_TABLE.c.kind.in_(tuple(kinds)))
    sought = re.compile("|".join(map(re.escape, words)).encode())
    return {
        stream.removeprefix("case:")
        for stream, body in connection.execute(query).all()
        if sought.search(body)
    }


def _events(
    connection: Connection,
    query: Executable,
    parameters: Mapping[str, Sequence[str]],
    persons: Mapping[str, str],
    passed: set[str],
    *,
    checked: bool,
    passed_over: dict[str, int] | None = None,
) -> Iterator[Event]:
    """The events of a query; `passed` takes in the streams that are passed over."""
    heads: dict[str, Event] = {}
    parts = connection.execute(query, parameters).partitions(_BATCH)
    for seq, stream, hash_, body in chain.from_iterable(parts):
        if checked and digest(body) != hash_:
            raise broken(stream, seq)
        try:
            event = _event(seq, stream, hash_, body, persons)
        except (*MISSHAPEN, JournalBroken) as error:
            if passed_over is not None:
                passed_over.setdefault(stream, seq)
            elif checked or stream not in quarantined(connection):
                raise unreadable(stream, seq) from error
            passed.add(stream)
            continue
        if checked:
            head = heads.get(stream)
            follows = (head.hash, head.version + 1) if head else (None, 1)
            if (event.previous, event.version) != follows:
                raise broken(stream, seq)
            heads[stream] = event
        yield event


class _Body(Struct, frozen=True):
    """An event's bytes, as docs/journal.md describes them: of other types nothing is read."""

    stream: str
    version: int
    previous: str | None
    kind: str
    source: State | None = field(name="from")
    target: State | None = field(name="to")
    occurred_on: date
    recorded_at: datetime
    actor: str
    role: Role
    reason: str | None
    # The decoder cannot name the type of JSON, which holds itself.
    evidence: dict[str, object]
    attachments: tuple[Attached, ...]
    plan: str
    personal: str | None


_DECODED = Decoder(_Body).decode


def _event(seq: int, stream: str, hash_: str, body: bytes, persons: Mapping[str, str]) -> Event:
    read = _DECODED(body)
    if read.stream != stream or read.recorded_at.tzinfo is None:
        raise unreadable(stream, seq)
    return Event(
        seq=seq,
        stream=stream,
        version=read.version,
        previous=read.previous,
        kind=read.kind,
        source=read.source,
        target=read.target,
        occurred_on=read.occurred_on,
        recorded_at=read.recorded_at,
        actor=read.actor,
        person=persons.get(read.actor, read.actor),
        role=read.role,
        reason=read.reason,
        evidence=cast("dict[str, Json]", read.evidence),
        attachments=read.attachments,
        plan=read.plan,
        personal=read.personal,
        hash=hash_,
    )


def broken(stream: str, seq: int) -> JournalBroken:
    """The error for a stream that does not verify."""
    return JournalBroken(
        f"日志 {stream} 在第 {seq} 条处对不上，已停止写入该户，全县停止发放许可；查询照常",
        place=f"{stream} seq {seq}",
        remedy=_way_out(stream),
    )


def _way_out(stream: str) -> str:
    if not stream.startswith("case:"):
        return "运行 xianli audit verify 查看全部问题，报县清洁取暖办和审计人员；用最近的备份恢复"
    code = stream.removeprefix("case:")
    return (
        "运行 xianli audit verify 查看全部问题；不能恢复的，由县清洁取暖办和审计人员一人提出、"
        f"一人确认，隔离该户：xianli audit quarantine {code} --reason 理由"
    )


def bodies(connection: Connection, stream: str, kinds: Sequence[str] = ()) -> tuple[bytes, ...]:
    """The bytes of one stream's events in order, of these kinds or all.

    What is made of them need not be made again as long as they are the same.
    """
    return several(connection, [stream], kinds)[stream]


def several(
    connection: Connection, streams: Sequence[str], kinds: Sequence[str]
) -> Mapping[str, tuple[bytes, ...]]:
    """The same as `bodies`, of several streams at once."""
    found: dict[str, list[bytes]] = {stream: [] for stream in streams}
    query = _bodies(on_server(connection), bool(kinds))
    named = {"streams": streams, **({"kinds": kinds} if kinds else {})}
    for stream, body in connection.execute(query, named).all():
        found[stream].append(body)
    return {stream: tuple(told) for stream, told in found.items()}


@cache
def _bodies(server: bool, of_kinds: bool) -> Executable:
    told = _in_streams(server)
    query = select(told.c.stream, told.c.body).order_by(told.c.stream, told.c.version)
    return query.where(told.c.kind.in_(bindparam("kinds", expanding=True))) if of_kinds else query


def events_of(
    connection: Connection, stream: str, kinds: Sequence[str] = ()
) -> Iterator[Mapping[str, Json]]:
    """The documents of one stream in order, of these kinds or all."""
    yield from map(json.loads, bodies(connection, stream, kinds))


class Entry(Struct, frozen=True):
    """An event of a stream that is no case's, as it was written, with its seq."""

    seq: int
    document: Mapping[str, Json]


def numbered(connection: Connection, stream: str) -> Iterator[Entry]:
    """The events of one stream in order, each with its seq."""
    query = _numbered(on_server(connection))
    for seq, body in connection.execute(query, {"streams": [stream]}):
        yield Entry(seq, json.loads(body))


@cache
def _numbered(server: bool) -> Executable:
    told = _in_streams(server)
    return select(told.c.seq, told.c.body).order_by(told.c.version)


# An attachment in an event's canonical bytes: a quote in free text would stand escaped.
_NOTHING_ATTACHED = b'"attachments":[]'
_ATTACHED = re.compile(rb'"sha256":"([0-9a-f]{64})"')


def cases_naming(connection: Connection, hashes: Collection[str]) -> dict[str, set[str]]:
    """The codes of the cases whose events name these attachments, by the attachment's hash."""
    found: dict[str, set[str]] = {}
    if not hashes:
        return found
    query = select(_TABLE.c.stream, _TABLE.c.body).where(_TABLE.c.stream.like("case:%"))
    for stream, body in connection.execute(query):
        for match in _ATTACHED.finditer(body):
            if (sha256 := match[1].decode()) in hashes:
                found.setdefault(sha256, set()).add(stream.removeprefix("case:"))
    return found


def attaching(connection: Connection) -> Iterator[tuple[int, str, set[str]]]:
    """Seq, stream and the hashes of the attached files, of every readable event that has some."""
    query = select(_TABLE.c.seq, _TABLE.c.stream, _TABLE.c.body).order_by(_TABLE.c.seq)
    parts = connection.execute(query, execution_options={"yield_per": _BATCH}).partitions()
    for seq, stream, body in chain.from_iterable(parts):
        with suppress(*MISSHAPEN):
            if _NOTHING_ATTACHED in body:
                continue
            yield seq, stream, {one["sha256"] for one in json.loads(body)["attachments"]}


def cases_with_matters(connection: Connection) -> list[str]:
    """The codes of the cases that a violation, complaint or objection was recorded of."""
    kinds = (FactKind.VIOLATION, FactKind.COMPLAINT, FactKind.NOTICE, FactKind.CORRECT)
    query = select(_TABLE.c.stream, _TABLE.c.kind, _TABLE.c.body).where(
        _TABLE.c.stream.like("case:%"), _TABLE.c.kind.in_(kinds)
    )
    found = {
        stream.removeprefix("case:")
        for stream, kind, body in connection.execute(query)
        # Most 公示 are met with no objection: those need not be read.
        if kind in kinds[:2] or b'"objection"' in body
    }
    return sorted(found)


def cases_with_works(connection: Connection) -> frozenset[str]:
    """The codes of the cases in which works were told of."""
    kinds = (FactKind.WORKS, Trigger.COMPLETE)
    query = select(_TABLE.c.stream).where(_TABLE.c.kind.in_(kinds)).distinct()
    return frozenset(one.removeprefix("case:") for one in connection.execute(query).scalars())


def cases_since(connection: Connection, seq: int) -> list[str]:
    """The cases that have events after this one, in the order of codes."""
    query = select(_TABLE.c.stream).where(_TABLE.c.seq > seq, _TABLE.c.stream.like("case:%"))
    found = connection.execute(query.distinct()).scalars()
    return sorted(stream.removeprefix("case:") for stream in found)


def size(connection: Connection) -> int:
    """How many events there are."""
    return connection.execute(select(func.count()).select_from(_TABLE)).scalar_one()


def noon(day: date) -> datetime:
    """The instant at which a drill records on a day: noon in Shanghai."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
