"""Who is told what, and when: the sweep, the notices of a step, and each person's daily digest.

The sweep is idempotent. A rung of a deadline is claimed by a unique key in the transaction that
also writes its notices and letters: killed, asleep for weeks or run twice at once, it tells each
person of each rung once. What is due is found by an index, never by looking at every case.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from functools import cache

from msgspec import Struct, field
from sqlalchemy import Connection, Text, bindparam, cast, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from states import alarm, rungs
from states.errors import CaseError
from states.facts import Actor, CaseFacts, Event, fold
from states.plan import Plan
from states.vocabulary import Clock, FactKind, Level, Role, State, Trigger
from states.workdays import local_date
from workflow import bulk, cases, due, journal, letters, messages, register
from workflow.db import Database
from workflow.due import DEADLINE, FLAG, MET, NOTICE, RAISED, SUPERSEDED
from workflow.errors import JournalBroken, NotPermitted
from workflow.journal import Pen
from workflow.messages import MESSAGE, Document, Matter, Person

# What is handled in one transaction; a unit with more due at once gets a second letter.
CHUNK = 5_000
EVERYBODY = rungs.told(Clock.HEAT, Level.GRAVEST)
EVENT = "event"


# Who is there ---------------------------------------------------------------------------------


class People:
    """Who can be told: the active officers, each person once."""

    def __init__(self, connection: Connection) -> None:
        self._officers = [o for o in register.officers(connection) if o.active]
        self._asked: dict[tuple[str, frozenset[Role]], tuple[Person, ...]] = {}

    def told(self, unit: str, roles: frozenset[Role]) -> tuple[Person, ...]:
        """Who in these roles answers for the unit; the county office where there is nobody."""
        asked = unit, roles
        if asked not in self._asked:
            found = self._in(roles, unit) or self._in(frozenset({Role.COUNTY_OFFICE}), unit)
            self._asked[asked] = tuple(found.values())
        return self._asked[asked]

    def _in(self, roles: frozenset[Role], unit: str) -> dict[str, Person]:
        found: dict[str, Person] = {}
        for officer in self._officers:
            if officer.role in roles and officer.unit in (None, unit):
                who = Person(officer.person, officer.name, officer.role, officer.unit)
                found.setdefault(officer.person, who)
        return found

    def person(self, person: str) -> Person | None:
        """The person behind a notice; None when none of his logins is in use."""
        mine = [officer for officer in self._officers if officer.person == person]
        return Person(person, mine[0].name, mine[0].role, mine[0].unit) if mine else None


# What a step tells others ---------------------------------------------------------------------

_IN_UNIT = frozenset({Role.UNIT_OFFICER})
_HEAD_AND_COUNTY = frozenset({Role.UNIT_HEAD, Role.COUNTY_OFFICE})
_UNIT_AND_COUNTY = frozenset({Role.UNIT_OFFICER, Role.COUNTY_OFFICE})
_TOLD_OF: Mapping[str, frozenset[Role]] = {
    Trigger.REJECT: _IN_UNIT,
    Trigger.OVERTURN: _IN_UNIT,
    Trigger.REPLACE: _IN_UNIT,
    Trigger.REVOKE: _IN_UNIT,
    Trigger.SEND_BACK: _IN_UNIT,
    FactKind.VIOLATION: _HEAD_AND_COUNTY,
    FactKind.COMPLAINT: _UNIT_AND_COUNTY,
}
_SUSPENDED = _IN_UNIT | _HEAD_AND_COUNTY


class News(Struct, frozen=True):
    """An event that concerns somebody else than who did it."""

    event: Event
    unit: str
    roles: frozenset[Role]
    told: str


def news_of(event: Event, before: CaseFacts | None, after: CaseFacts) -> News | None:
    """What others are told of an event, None where it concerns nobody else."""
    roles = _TOLD_OF.get(event.kind, frozenset())
    suspended = _suspends(event, before, after)
    if suspended:
        roles |= _SUSPENDED
    if not roles:
        return None
    told = _label(event) + ("；拆除许可中止，办结前不得拆除" if suspended else "")
    put_right = event.text("put_right_by")
    return News(event, after.unit, roles, f"{told}；整改期限 {put_right}" if put_right else told)


def _suspends(event: Event, before: CaseFacts | None, after: CaseFacts) -> bool:
    """Whether a permission was in force and is not, though nobody took it back."""
    if before is None or not before.state is after.state is State.REMOVAL_PERMITTED:
        return False
    today = event.recorded_on
    return before.permitted_on(today) is not None and after.permitted_on(today) is None


def _label(event: Event) -> str:
    label = next((w.label for w in (*Trigger, *FactKind) if w == event.kind), event.kind)
    return f"{event.occurred_on} {label}（编号 {event.seq}）"


def tell(connection: Connection, people: People, news: Iterable[News], now: datetime) -> None:
    """Notes for others what was just done, in the step's own transaction."""
    rows = [
        {
            "key": f"event:{one.event.seq}|{person.person}",
            "person": person.person,
            "case_code": one.event.stream.removeprefix("case:"),
            "unit": one.unit,
            "deadline": None,
            "rung": EVENT,
            "due_on": None,
            "told": one.told,
            "created_at": now,
            "message": None,
            "dropped": False,
        }
        for one in news
        for person in people.told(one.unit, one.roles)
        if person.person != one.event.person
    ]
    if rows:
        _NOTE.write(connection, rows)


# The gravest alarm ----------------------------------------------------------------------------


class Rang(Struct, frozen=True):
    """An alarm that rang: which household, and why."""

    code: str
    unit: str
    why: str


def ring(
    connection: Connection,
    people: People,
    facts: CaseFacts,
    plan: Plan,
    now: datetime,
    *,
    drill: bool,
) -> Rang | None:
    """Rings the gravest alarm, once a spell, to everybody and at once; None when it need not."""
    today = local_date(now)
    gravest = alarm.gravest(facts, plan, today)
    name = f"{Clock.HEAT}:{gravest.spell}" if gravest else None
    connection.execute(
        update(FLAG)
        .where(
            FLAG.c.case_code == facts.code,
            FLAG.c.rung == Level.GRAVEST,
            FLAG.c.status == RAISED,
            FLAG.c.deadline.is_distinct_from(name),
        )
        .values(status=MET)
    )
    if gravest is None or name is None:
        return None
    flag = {
        "case_code": facts.code,
        "deadline": name,
        "rung": Level.GRAVEST,
        "unit": facts.unit,
        "due_on": today,
        "status": RAISED,
        "raised_on": today,
        "raised_at": now,
        "why": gravest.why,
    }
    if not _claim(connection, [flag]):
        mine = FLAG.c.case_code == facts.code, FLAG.c.deadline == name
        connection.execute(update(FLAG).where(*mine, FLAG.c.status == MET).values(status=RAISED))
        return None
    to = people.told(facts.unit, EVERYBODY)
    document = messages.alarm(facts, gravest.why, to, plan, today, drill=drill)
    addressed = [(f"alarm:{facts.code}:{gravest.spell}:{p.person}", p, document) for p in to]
    messages.queue(connection, addressed, now)
    return Rang(facts.code, facts.unit, gravest.why)


def _claim(connection: Connection, flags: Sequence[Mapping[str, object]]) -> Set[tuple[str, ...]]:
    """Claims rungs; answers those that nobody had claimed before, (case, deadline, rung)."""
    asked = {(str(one["case_code"]), str(one["deadline"]), str(one["rung"])): one for one in flags}
    for part in cases.parts(sorted({code for code, _, _ in asked})):
        for row in connection.execute(_CLAIMED, {"codes": part}).all():
            asked.pop(tuple(row), None)
    if asked:
        # Two sweeps follow one another (`Database.transaction`); the unique key stands behind that.
        _CLAIM.write(connection, list(asked.values()))
    return asked.keys()


# The sweep ------------------------------------------------------------------------------------


class Failure(Struct, frozen=True):
    """A deadline that could not be looked at this time; it stays due."""

    code: str
    deadline: str
    error: CaseError


class Swept(Struct):
    """What a sweep did. `due` were looked at; those in `failures` wait for the next one."""

    as_of: date
    due: int = 0
    raised: int = 0
    superseded: int = 0
    alarms: list[Rang] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 6 with a broken journal or row, else that of the first failure."""
        broken = any(isinstance(f.error, JournalBroken) for f in self.failures)
        return JournalBroken.status if broken else next((f.error.status for f in self.failures), 0)


_Key = tuple[str, str]


def sweep(database: Database, now: datetime) -> Swept:
    """Finds every rung that was reached up to today and says so, each once.

    Each unit's in a transaction of its own (of `CHUNK` deadlines at most); one that fails leaves
    nothing half done, is in `failures`, and does not keep the others. Raises JournalBroken where
    nothing can be decided at all.
    """
    swept = Swept(local_date(now))
    with database.reading() as connection:
        register.plan_to_act_on(connection)
        waiting = _waiting(connection, swept.as_of)
    for unit, keys in waiting.items():
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            try:
                with database.transaction() as connection:
                    done = _sweep_unit(connection, unit, part, now)
            except CaseError as error:
                failures = [Failure(code, name, error) for code, name in part]
                done = Swept(swept.as_of, len(part), failures=failures)
            _add(swept, done)
    return swept


def _add(swept: Swept, done: Swept) -> None:
    swept.due += done.due
    swept.raised += done.raised
    swept.superseded += done.superseded
    swept.alarms += done.alarms
    swept.letters += done.letters
    swept.failures += done.failures


def _waiting(connection: Connection, today: date) -> dict[str, list[_Key]]:
    """What is due, by unit: found by the index on the day of the next rung."""
    found: dict[str, list[_Key]] = {}
    query = select(*_RAW).where(DEADLINE.c.next_rung_on <= today)
    for row in connection.execute(query):
        found.setdefault(str(row.unit), []).append((str(row.case_code), str(row.name)))
    return {unit: sorted(found[unit]) for unit in sorted(found)}


# The rows as they stand: one that was tampered with must not keep the others from being read. A
# server's column takes `infinity` for a day.
_RAW = tuple(
    cast(DEADLINE.c[name], Text).label(name)
    for name in ("case_code", "name", "unit", "due_on", "next_rung_on")
)
_ROWS = select(*_RAW).where(DEADLINE.c.case_code.in_(bindparam("codes", expanding=True)))
_NEXT = bulk.Rows(
    update(DEADLINE)
    .where(DEADLINE.c.case_code == bindparam("of"), DEADLINE.c.name == bindparam("clock"))
    .values(next_rung_on=bindparam("next_on"))
)
_CLAIM, _NOTE = bulk.Rows(insert(FLAG)), bulk.Rows(insert(NOTICE))
_CLAIMED = select(FLAG.c.case_code, FLAG.c.deadline, FLAG.c.rung).where(
    FLAG.c.case_code.in_(bindparam("codes", expanding=True))
)


class _Due(Struct, frozen=True):
    """A row that is due, read."""

    code: str
    name: str
    unit: str
    clock: Clock
    due_on: date
    deadline: str


def _sweep_unit(connection: Connection, unit: str, keys: Sequence[_Key], now: datetime) -> Swept:
    plan, drill = register.plan_to_act_on(connection), register.is_drill(connection)
    today = local_date(now)
    swept = Swept(today)
    rows = _still_due(connection, keys, today, swept)
    people = People(connection)
    next_days: list[dict[str, object]] = []
    climbing: list[_Due] = []
    for row in rows:
        if row.clock is not Clock.HEAT:
            climbing.append(row)
            continue
        try:
            next_on = _look_at(connection, people, row, plan, now, swept, drill=drill)
        except CaseError as error:
            swept.failures.append(Failure(row.code, row.name, error))
        else:
            next_days.append({"of": row.code, "clock": row.name, "next_on": next_on})
    raised = _climb(connection, climbing, plan, now, swept, next_days)
    _tell_of(connection, people, unit, raised, plan, now, swept, drill=drill)
    if next_days:
        _NEXT.write(connection, next_days)
    return swept


def _still_due(
    connection: Connection, keys: Sequence[_Key], today: date, swept: Swept
) -> list[_Due]:
    """The rows that are due still: another sweep may have been here first."""
    wanted, found = set(keys), []
    for part in cases.parts(sorted({code for code, _ in keys})):
        for row in connection.execute(_ROWS, {"codes": part}).all():
            code, name, unit, due_on, next_on = tuple(row)
            if (code, name) not in wanted or next_on is None or next_on > str(today):
                continue
            swept.due += 1
            try:
                on = date.fromisoformat(due_on)
                found.append(_Due(code, name, unit, messages.clock_of(name), on, due.key(name, on)))
            except ValueError as error:
                swept.failures.append(Failure(code, name, _unreadable(code, name, error)))
    return found


def _unreadable(code: str, name: str, error: ValueError) -> JournalBroken:
    return JournalBroken(
        f"期限表里有读不出来的值，可能被改动过：{error}",
        place=f"deadline {code} {name}",
        remedy="运行 xianli audit verify 查看哪一户",
    )


def _look_at(
    connection: Connection,
    people: People,
    row: _Due,
    plan: Plan,
    now: datetime,
    swept: Swept,
    *,
    drill: bool,
) -> date:
    """Looks whether a household without heat is so in winter; answers when to look again."""
    events = cases.load(connection, [row.code]).get(row.code, [])
    facts = fold(row.code, events)
    if facts is None:
        raise journal.broken(f"case:{row.code}", 0)
    rang = ring(connection, people, facts, plan, now, drill=drill)
    if rang is not None:
        swept.alarms.append(rang)
    return alarm.next_look(facts, plan, local_date(now))


def _climb(
    connection: Connection,
    rows: Sequence[_Due],
    plan: Plan,
    now: datetime,
    swept: Swept,
    next_days: list[dict[str, object]],
) -> list[tuple[_Due, rungs.Rung]]:
    """Claims the rungs reached: the highest is to be told, those before it are superseded."""

    today = local_date(now)

    @cache
    def alike(due_on: date) -> tuple[rungs.Standing, list[dict[str, object]]]:
        """Where deadlines of this day stand, and what their flags have in common."""
        stands = rungs.standing(due_on, today, plan)
        return stands, [
            {
                "rung": rung.name,
                "due_on": due_on,
                "status": RAISED if rung is stands.reached[-1] else SUPERSEDED,
                "raised_on": today,
                "raised_at": now,
                "why": None,
            }
            for rung in stands.reached
        ]

    flags: list[dict[str, object]] = []
    highest: list[tuple[_Due, rungs.Rung, object]] = []
    for row in rows:
        stands, reached = alike(row.due_on)
        next_days.append({"of": row.code, "clock": row.name, "next_on": stands.next_on})
        own = {"case_code": row.code, "deadline": row.deadline, "unit": row.unit}
        flags += (own | one for one in reached)
        highest += [
            (row, rung, one["rung"])
            for rung, one in zip(stands.reached[-1:], reached[-1:], strict=True)
        ]
    claimed = _claim(connection, flags)
    raised = [
        (row, rung) for row, rung, name in highest if (row.code, row.deadline, name) in claimed
    ]
    swept.raised += len(raised)
    swept.superseded += len(claimed) - len(raised)
    return raised


def _tell_of(
    connection: Connection,
    people: People,
    unit: str,
    raised: Sequence[tuple[_Due, rungs.Rung]],
    plan: Plan,
    now: datetime,
    swept: Swept,
    *,
    drill: bool,
) -> None:
    """Notes for each person what he is told; from 橙 on the unit gets a letter, which tells it."""
    told: list[tuple[_Due, rungs.Rung, tuple[Person, ...]]] = [
        (row, rung, people.told(unit, rungs.told(row.clock, rung.level))) for row, rung in raised
    ]
    numbers: dict[Level, str] = {}
    pen: Pen | None = None
    for level in letters.KINDS:
        due_now = [(row, rung, to) for row, rung, to in told if rung.level is level]
        if not due_now:
            continue
        pen = pen or Pen(connection, register.SYSTEM, now, plan)
        found = [
            Matter(row.code, row.name, row.due_on, rung.level.label) for row, rung, _ in due_now
        ]
        number, document = letters.issue(pen, plan, unit, level, found, drill=drill)
        readers = {person.person: person for _, _, to in due_now for person in to}
        addressed = [(letters.message_key(number, p), p, document) for p in readers.values()]
        messages.queue(connection, addressed, now)
        numbers[level] = number
        swept.letters.append(number)
    rows = [
        {
            "key": f"{row.code}|{row.deadline}|{name}|{person.person}",
            "person": person.person,
            "case_code": row.code,
            "unit": unit,
            "deadline": row.deadline,
            "rung": name,
            "due_on": row.due_on,
            # How many days it is before the deadline the day of telling says: a clock that began
            # late has passed its first reminders.
            "told": rung.level.label,
            "created_at": now,
            "message": letters.message_key(numbers[rung.level], person)
            if rung.level in numbers
            else None,
            "dropped": False,
        }
        for row, rung, to in told
        for name in (rung.name,)
        for person in to
    ]
    if rows:
        _NOTE.write(connection, rows)


# The digest -----------------------------------------------------------------------------------

_UNTOLD = NOTICE.c.message.is_(None) & ~NOTICE.c.dropped


def digests(database: Database, now: datetime) -> list[str]:
    """Queues for each person one message of all he has not been told yet; answers their keys.

    One a person a day at most: what comes later that day waits for the next.
    """
    with database.reading() as connection:
        waiting = _persons_waiting(connection)
    queued: list[str] = []
    for person in waiting:
        with database.transaction() as connection:
            queued += _digest(connection, person, now)
    return queued


def _persons_waiting(connection: Connection) -> list[str]:
    query = select(NOTICE.c.person).where(_UNTOLD).distinct().order_by(NOTICE.c.person)
    return list(connection.execute(query).scalars())


def _digest(connection: Connection, person: str, now: datetime) -> list[str]:
    today = local_date(now)
    whom = People(connection).person(person)
    if whom is None or _has_digest(connection, person, today):
        return []
    mine = (_UNTOLD, NOTICE.c.person == person)
    found = connection.execute(select(NOTICE).where(*mine).order_by(NOTICE.c.created_at)).all()
    if not found:
        return []
    where = messages.places(connection, (row.case_code for row in found))
    # Of one deadline the rung reached last is told; it comes last here.
    latest: dict[tuple[str, str], Matter] = {}
    news: list[tuple[str, str]] = []
    for row in found:
        if row.deadline is None:
            news.append((row.case_code, row.told))
            continue
        name = row.deadline.partition("@")[0]
        latest[row.case_code, row.deadline] = Matter(row.case_code, name, row.due_on, row.told)
    plan, drill = register.plan_in_force(connection), register.is_drill(connection)
    matters = list(latest.values())
    document = messages.digest(whom, matters, news, where, plan, today, drill=drill)
    key = f"digest:{today}:{person}"
    queued = messages.queue(connection, [(key, whom, document)], now)
    if queued:
        connection.execute(update(NOTICE).where(*mine).values(message=key))
    return queued


def _has_digest(connection: Connection, person: str, today: date) -> bool:
    # A later one too: the clock may have been set back over midnight.
    query = select(MESSAGE.c.key).where(
        MESSAGE.c.key >= f"digest:{today}:", MESSAGE.c.key < "digest;", MESSAGE.c.person == person
    )
    return connection.execute(query.limit(1)).first() is not None


# A round --------------------------------------------------------------------------------------


class Round(Struct, frozen=True):
    """A sweep and the digests that followed it."""

    swept: Swept
    digests: tuple[str, ...]


def round_(database: Database, now: datetime) -> Round:
    """One whole round: what is due is raised, and each person's digest queued."""
    swept = sweep(database, now)
    return Round(swept, tuple(digests(database, now)))


def rehearse(
    database: Database,
    now: datetime,
    units: Sequence[str] | None = None,
    *,
    who: Actor | None = None,
) -> list[Document]:
    """The messages that a round would queue now to people of these units; none of it is kept.

    On a server letters are the service's to issue, and so is the rehearsal: `who` is the officer
    connected, if it is one. Raises NotPermitted.
    """
    if database.shared and who is not None:
        raise NotPermitted(
            "服务器上函件由定时任务发出，现在办一轮会发出什么只有它的账号能看",
            remedy="看已有的消息：xianli notify list，再 xianli notify preview 消息编号",
        )
    with database.transaction() as connection:
        before = set(connection.execute(select(MESSAGE.c.key)).scalars())
        undone = connection.begin_nested()
        for unit, keys in _waiting(connection, local_date(now)).items():
            _sweep_unit(connection, unit, keys, now)
        for person in _persons_waiting(connection):
            _digest(connection, person, now)
        found = [one for one in listed(connection, None, units) if one["key"] not in before]
        undone.rollback()
    return found


# Looking --------------------------------------------------------------------------------------


def listed(
    connection: Connection,
    person: str | None,
    units: Sequence[str] | None,
    *,
    everything: bool = False,
) -> list[Document]:
    """The messages to this person and to people of these units (None: all).

    Without `everything` only those that have not been sent.
    """
    wanted = [] if everything else [MESSAGE.c.status != messages.SENT]
    if person is not None:
        wanted.append(MESSAGE.c.person == person)
    return messages.outbox(connection, *wanted, *_to(connection, units))


def _to(connection: Connection, units: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """That a message is to people of these units; nothing where all are asked for."""
    if units is None:
        return []
    people = {o.person for o in register.officers(connection) if o.unit in units}
    return [MESSAGE.c.person.in_(people)]


def message(connection: Connection, key: str, units: Sequence[str] | None) -> Document:
    """One message. Raises NotPermitted when there is none of this key for people of these units."""
    found = messages.outbox(connection, MESSAGE.c.key == key, *_to(connection, units))
    if not found:
        raise NotPermitted(
            f"没有键为 {key} 的消息，或不在您的范围内",
            place=key,
            remedy="xianli notify list --all 列出消息",
        )
    return found[0]


def read_out(found: Sequence[Document]) -> str:
    """These messages as people read them, each under its subject."""
    if not found:
        return "没有要发的消息"
    # A step queues messages; only who reads them loads the templates.
    from notifications import render

    told = []
    for one in found:
        document = one["document"]
        assert isinstance(document, dict)
        told.append(f"{one['subject']}\n致：{one['person']}\n\n{render.letter_text(document)}")
    return "\n\n".join(told)


def letters_listed(
    connection: Connection, units: Sequence[str] | None, *, everything: bool
) -> list[letters.Letter]:
    """The letters to these units (None: all); without `everything` those not answered."""
    return [
        letter
        for letter in letters.letters(connection)
        if (units is None or letter.unit in units) and (everything or letter.replied_on is None)
    ]
