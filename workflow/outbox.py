"""The outbox: takes what is queued to the people it is for, each key once.

An attempt is claimed in a transaction of its own before anything is sent, and what came of it is
recorded in another. Who dies between the two leaves a claim that runs out, and the letter is sent
again under the same identity: the same file, the same Message-ID, the same short number.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, func, or_, select, update

from notifications import channels, notices, render
from notifications.channels import Channel, Letter, NotDelivered, Refused, Unreachable
from notifications.notices import NoticeKind
from states.errors import MISSHAPEN
from states.workdays import local_date
from workflow import register, tables
from workflow.db import Database
from workflow.register import Officer
from workflow.settings import Reach, Settings

# Longer than any attempt takes: nobody else tries a letter whose attempt is under way.
CLAIM = timedelta(minutes=10)
# How long to wait after each attempt that failed; after one more, some twenty hours on, we give up.
BACK_OFF = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
)
TRIES = len(BACK_OFF) + 1
ONE_MINUTE = timedelta(minutes=1)
DRILL = "演练"
_MESSAGE = tables.MESSAGE
_JOURNAL = tables.JOURNAL
Clock = Callable[[], datetime]


class Problem(Struct, frozen=True):
    """A message that did not get through in this round, and why; no secret in it."""

    key: str
    given_up: bool
    error: str


class Delivered(Struct, frozen=True):
    """What one round came to; `waiting` counts all that is still to be sent, later."""

    sent: int
    waiting: int
    problems: tuple[Problem, ...]

    @property
    def retried(self) -> int:
        """How many failed and will be tried again."""
        return len(self.problems) - self.given_up

    @property
    def given_up(self) -> int:
        """How many failed for good."""
        return sum(one.given_up for one in self.problems)


class Queue(Struct, frozen=True):
    """How the outbox stands; `last_error` is that of a message not sent, the latest tried."""

    waiting: int
    given_up: int
    last_error: str | None


def deliver(
    database: Database,
    settings: Settings,
    clock: Clock,
    *,
    at_once: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Sends what is due, urgent letters first; one round.

    `at_once` waits neither for the end of the quiet hours nor for the next try. In a drill letters
    go to the folder only, unless the configuration says otherwise. `stopping` is asked before each
    letter.
    """
    with database.reading() as connection:
        desk = _PostRoom.of(connection, settings)
        due = connection.execute(
            _due(clock(), at_once=at_once).order_by(
                _MESSAGE.c.urgent.desc(), _MESSAGE.c.next_try_at, _MESSAGE.c.key
            )
        ).all()
    sent, problems = 0, []
    for row in due:
        if stopping():
            break
        if desk.must_wait(row, clock(), at_once=at_once):
            continue
        attempts = _claim(database, desk, row, clock(), at_once=at_once)
        if attempts is None:
            continue
        problem = _attempt(database, desk, row, attempts, clock)
        if problem is None:
            sent += 1
        else:
            problems.append(problem)
    with database.reading() as connection:
        return Delivered(sent, standing(connection).waiting, tuple(problems))


def standing(connection: Connection) -> Queue:
    """How much waits, how much was given up, and the latest error among them."""
    rows = connection.execute(select(_MESSAGE.c.status, func.count()).group_by(_MESSAGE.c.status))
    count: dict[str, int] = {row[0]: row[1] for row in rows}
    last = connection.execute(
        select(_MESSAGE.c.last_error)
        .where(_MESSAGE.c.status != "sent", _MESSAGE.c.last_error.is_not(None))
        .order_by(_MESSAGE.c.tried_at.desc())
        .limit(1)
    ).scalar()
    waiting = count.get("queued", 0) + count.get("sending", 0)
    return Queue(waiting, count.get("given_up", 0), last)


def requeue(database: Database, now: datetime) -> int:
    """Puts what was given up back into the queue, as new; how many."""
    with database.transaction() as connection:
        done = connection.execute(
            update(_MESSAGE)
            .where(_MESSAGE.c.status == "given_up")
            .values(status="queued", attempts=0, next_try_at=now)
        )
        return done.rowcount


@dataclass
class _PostRoom:
    """What a round knows: the way to each person, and which channels do not work just now."""

    settings: Settings
    origin: str
    drill: bool
    officers: Mapping[str, Officer]
    reach: Mapping[str, Reach]
    units: Mapping[str, str]
    down: dict[str, Unreachable] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, settings: Settings) -> "_PostRoom":
        officers = register.officers(connection)
        persons = {one.login: one.person for one in officers}
        plan = register.plan_in_force(connection)
        codes = {name: unit.code for name in settings.units if (unit := plan.unit(name))}
        # Two databases may hold the same key; their first events differ.
        first = connection.execute(select(_JOURNAL.c.hash).where(_JOURNAL.c.seq == 1)).scalar_one()
        return cls(
            settings,
            first,
            register.is_drill(connection),
            # Of a person's several logins one in use and of a unit stands for the person.
            {one.person: one for one in sorted(officers, key=lambda o: (o.active, bool(o.unit)))},
            {persons.get(name, name): reach for name, reach in settings.people.items()},
            {codes[name]: channel for name, channel in settings.units.items() if name in codes},
        )

    def channel(self, person: str) -> Channel:
        """By whom a person's letters go: the person's own, the mail, the unit's, the folder."""
        officer, reach = self.officers.get(person), self.reach.get(person, Reach())
        name = "outbox"
        if self.drill and not self.settings.drill:
            return self.settings.channels[name]
        if reach.channel is not None:
            name = reach.channel
        elif reach.email is not None:
            name = "smtp"
        elif officer is not None and officer.unit is not None:
            name = self.units.get(officer.unit, name)
        return self.settings.channels[name]

    def must_wait(self, row: "Row[MessageFields]", now: datetime, *, at_once: bool) -> bool:
        """Whether a letter is better tried later: at night, or while its channel is down."""
        channel, quiet = self.channel(row.person).name, self.settings.quiet
        if row.urgent:
            return False
        # A file in a folder wakes nobody.
        rings = channel != "outbox" and not at_once
        return channel in self.down or (rings and quiet is not None and quiet.holds(now))

    def letter(self, row: "Row[MessageFields]") -> Letter:
        officer = self.officers.get(row.person)
        # `演练·未核实` is the drill's mark too.
        marked = row.subject.startswith(f"【{DRILL}")
        mark = f"【{DRILL}】" if self.drill and not marked else ""
        subject = f"{mark}{row.subject}"
        text, page, word = _worded(json.loads(row.document))
        return Letter(
            identity=channels.identity(self.origin, row.key),
            name=f"{DRILL}-{row.key}" if self.drill else row.key,
            subject=subject,
            text=text,
            html=page,
            word=word,
            to=officer.name if officer else row.person,
            address=self.reach.get(row.person, Reach()).email,
            day=local_date(row.created_at),
        )


_OFFICIAL = (NoticeKind.URGE, NoticeKind.SUPERVISE, NoticeKind.BULLETIN)


def _worded(document: notices.Document) -> tuple[str, str, bytes | None]:
    """A message as text, as HTML and, where it is an official letter, as a Word file."""
    # The library for Word is loaded by who writes such a letter.
    from notifications import word

    official = document["kind"] in _OFFICIAL
    return (
        render.letter_text(document),
        render.letter_html(document),
        word.letter_docx(document) if official else None,
    )


MessageFields = tuple[str, str, str, str, bool, str, datetime, int]


def _due(now: datetime, *, at_once: bool) -> Select[MessageFields]:
    """What may be tried now: queued and its time come, or claimed by somebody who died."""
    table = _MESSAGE.c
    come = table.next_try_at <= now
    queued = table.status == "queued"
    return select(
        table.key,
        table.kind,
        table.person,
        table.subject,
        table.urgent,
        table.document,
        table.created_at,
        table.attempts,
    ).where(
        or_(queued if at_once else queued & come, (table.status == "sending") & come),
    )


def _claim(
    database: Database, desk: _PostRoom, row: "Row[MessageFields]", now: datetime, *, at_once: bool
) -> int | None:
    """Takes the next attempt at a message for ourselves and answers its number.

    None when somebody else was first, or the channel has had its share of this minute.
    """
    channel = desk.channel(row.person)
    with database.transaction() as connection:
        found = connection.execute(_due(now, at_once=at_once).where(_MESSAGE.c.key == row.key))
        still = found.first()
        if still is None or _share_is_used_up(connection, channel, now):
            return None
        attempts: int = still.attempts + 1
        connection.execute(
            update(_MESSAGE)
            .where(_MESSAGE.c.key == row.key)
            .values(
                status="sending",
                attempts=attempts,
                channel=channel.name,
                tried_at=now,
                next_try_at=now + CLAIM,
            )
        )
        return attempts


def _share_is_used_up(connection: Connection, channel: Channel, now: datetime) -> bool:
    if channel.per_minute is None:
        return False
    tried = connection.execute(
        select(func.count())
        .select_from(_MESSAGE)
        .where(
            _MESSAGE.c.channel == channel.name,
            _MESSAGE.c.tried_at > now - ONE_MINUTE,
            _MESSAGE.c.tried_at <= now,
        )
    ).scalar_one()
    return tried >= channel.per_minute


def _attempt(
    database: Database, desk: _PostRoom, row: "Row[MessageFields]", attempts: int, clock: Clock
) -> Problem | None:
    """Sends a message that was claimed, and records what came of it."""
    channel = desk.channel(row.person)
    try:
        letter = desk.letter(row)
    except (*MISSHAPEN, render.NotWorded) as fault:
        # Nobody can put such a letter into words: more attempts, or the folder, would not help.
        error = (
            f"信件内容读不出来（{type(fault).__name__}），没有送出；请县清洁取暖办查明是谁写入的"
        )
        _record(database, row.key, attempts, status="given_up", next_try_at=None, last_error=error)
        return Problem(row.key, given_up=True, error=error)
    if attempts > TRIES:
        # Its attempts broke off without a word; what breaks them must not stop the others.
        error = f"试了 {TRIES} 次，每次都中途断掉"
        _record(database, row.key, attempts, status="given_up", next_try_at=None, last_error=error)
        desk.settings.outbox.send(letter, clock())
        return Problem(row.key, given_up=True, error=error)
    try:
        if channel.name in desk.down:
            raise desk.down[channel.name]
        channel.send(letter, clock())
    except NotDelivered as failure:
        if isinstance(failure, Unreachable):
            desk.down[channel.name] = failure
        return _failed(database, desk, row, letter, attempts, clock, failure)
    _record(
        database, row.key, None, status="sent", next_try_at=None, sent_at=clock(), last_error=None
    )
    return None


def _failed(
    database: Database,
    desk: _PostRoom,
    row: "Row[MessageFields]",
    letter: Letter,
    attempts: int,
    clock: Clock,
    failure: NotDelivered,
) -> Problem:
    given_up = isinstance(failure, Refused) or attempts >= TRIES
    error = failure.message
    # What is given up, and what cannot wait, is handed on by people instead.
    if (given_up or row.urgent) and desk.channel(row.person).name != "outbox":
        try:
            desk.settings.outbox.send(letter, clock())
            error += "；已放入发件箱文件夹，请人工送达"
        except NotDelivered as also:
            error += f"；{also.message}"
    now = clock()
    _record(
        database,
        row.key,
        attempts,
        status="given_up" if given_up else "queued",
        next_try_at=None if given_up else now + BACK_OFF[attempts - 1],
        last_error=error,
    )
    return Problem(row.key, given_up, error)


def _record(database: Database, key: str, attempts: int | None, **values: object) -> None:
    """Writes what came of an attempt.

    `attempts` is its number where only the last attempt has a say; a letter that was sent stays so.
    """
    change = update(_MESSAGE).where(_MESSAGE.c.key == key, _MESSAGE.c.status != "sent")
    if attempts is not None:
        change = change.where(_MESSAGE.c.attempts == attempts)
    with database.transaction() as connection:
        connection.execute(change.values(**values))
