"""What goes out: the documents of letters, digests and alarms as plain JSON, and their queue.

Documents carry no personal data of a household: its code, its village, where it stands. How they
are worded and set is the business of `notifications`; how they leave, of the outbox.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select, type_coerce
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from notifications import letters, notices
from notifications.notices import (
    Alarm,
    Cold,
    Digest,
    DigestRow,
    Heap,
    NoticeKind,
    Supervision,
)
from states import lifecycle
from states.facts import CaseFacts
from states.plan import Json, Plan
from states.vocabulary import Clock, Level, Path, Role, State, Word
from workflow import cases, tables
from workflow.instants import instant_text

MESSAGE = tables.MESSAGE
QUEUED, SENT = "queued", "sent"
Document = dict[str, Json]
Known = TypeVar("Known", bound=Word)


class Person(Struct, frozen=True):
    """Somebody who is told: one person, however many logins."""

    person: str
    name: str
    role: Role
    unit: str | None


class Matter(Struct, frozen=True):
    """A deadline of a household that people are told of; `days` late, less than 0 before it."""

    code: str
    deadline: str
    due_on: date
    told: str

    def days(self, as_of: date) -> int:
        """How many days late it is; less than 0 before the deadline."""
        return (as_of - self.due_on).days


class Place(Struct, frozen=True):
    """Where a household is and how far it has come, as the table has it; None is unreadable."""

    unit: str
    village: str
    path: Path | None
    state: State | None


# What ends a matter that is no step of the line.
_ANSWERS = {
    Clock.OBJECTION: "答复异议后销号",
    Clock.COMPLAINT: "办结投诉后销号",
    Clock.RESTITUTION: "恢复原状后销号",
    Clock.HEAT: "当日恢复供热",
}
_PHASES = (Clock.PREPARATION, Clock.WORKS, Clock.ACCEPTANCE)
# Where the notice asks for what is late; a phase has its own source in the plan.
_CLAUSES = {
    Clock.PUT_RIGHT: "五、实施步骤（三）",
    Clock.OBJECTION: "七、工作要求（五）",
    Clock.COMPLAINT: "七、工作要求（五）",
    Clock.RESTITUTION: "四、改造方式",
}
_LATE = {
    Level.RED.label: Heap.RED,
    Level.ORANGE.label: Heap.ORANGE,
    Level.YELLOW.label: Heap.YELLOW,
}


def places(connection: Connection, codes: Iterable[str]) -> dict[str, Place]:
    """Where these cases stand."""
    wanted = sorted(set(codes))
    case = cases.CASE.c
    columns = [type_coerce(column, NullType()) for column in (case.village, case.path, case.state)]
    found = {}
    for start in range(0, len(wanted), 500):
        part = case.code.in_(wanted[start : start + 500])
        for code, unit, village, path, state in connection.execute(
            select(case.code, case.unit, *columns).where(part)
        ):
            found[code] = Place(unit, str(village), _word(Path, path), _word(State, state))
    return found


def _word(words: type[Known], text: object) -> Known | None:
    return next((word for word in words if word == text), None)


def clock_of(deadline: str) -> Clock:
    """The clock behind a deadline's name or key. Raises ValueError."""
    return Clock(deadline.partition("@")[0].partition(":")[0])


def _ordered(found: Sequence[Matter]) -> list[Matter]:
    return sorted(found, key=lambda matter: (matter.due_on, matter.code, matter.deadline))


def _unit_name(plan: Plan, unit: str) -> str:
    named = plan.unit(unit)
    return named.name if named else unit


def _next_step(clock: Clock, place: Place | None) -> str:
    step = lifecycle.FORWARD.get(place.state) if place and place.state else None
    return _ANSWERS.get(clock) or (step.label if step else "")


def _row(matter: str, due_on: date | None, code: str, place: Place | None, plan: Plan,
         next_step: str) -> DigestRow:  # fmt: skip
    return DigestRow(
        code=code,
        # What is said of a whole unit goes by the unit's code.
        unit_name=_unit_name(plan, place.unit if place else code),
        village=place.village if place else "",
        state=place.state if place else None,
        matter=matter,
        due_on=due_on,
        next_step=next_step,
    )


def _news(told: str, code: str, place: Place | None, plan: Plan) -> DigestRow:
    row = _row(told, None, code, place, plan, "")
    # What is said of a whole unit is no household's.
    return replace(row, code="", village="全单位") if plan.unit(code) else row


def digest(
    person: Person,
    found: Sequence[Matter],
    news: Sequence[tuple[str, str]],
    where: Mapping[str, Place],
    plan: Plan,
    as_of: date,
    *,
    drill: bool,
) -> Document:
    """What one person is told on one day: deadlines near or past, and what others did.

    `news` are (code, what).
    """
    heaps: dict[Heap, list[DigestRow]] = {heap: [] for heap in Heap}
    for matter in _ordered(found):
        clock, place = clock_of(matter.deadline), where.get(matter.code)
        if matter.days(as_of) > 0:
            heap = _LATE.get(matter.told, Heap.YELLOW)
        else:
            heap = Heap.COMING if clock in _PHASES else Heap.OTHER
        row = _row(clock.label, matter.due_on, matter.code, place, plan, _next_step(clock, place))
        heaps[heap].append(row)
    heaps[Heap.NEWS] = [_news(told, code, where.get(code), plan) for code, told in news]
    return notices.document(
        Digest(
            drill=drill,
            unverified=(),
            as_of=as_of,
            name=person.name,
            role=person.role,
            unit_name=_unit_name(plan, person.unit) if person.unit else None,
            sections=tuple(notices.section(heap, rows) for heap, rows in heaps.items() if rows),
        )
    )


def letter(
    kind: NoticeKind,
    number: str,
    unit: str,
    level: Level,
    found: Sequence[Matter],
    where: Mapping[str, Place],
    reply_by: date,
    plan: Plan,
    as_of: date,
    *,
    drill: bool,
) -> Document:
    """催办单 or 督办通知 to a unit, with the slip to be sent back (回执)."""
    clauses = {clock_of(matter.deadline): None for matter in _ordered(found)}
    office = f"{plan.county}清洁取暖工作领导小组办公室"
    return notices.document(
        Supervision(
            form=kind,
            drill=drill,
            unverified=(),
            number=number,
            issuer=office,
            addressee=_unit_name(plan, unit),
            unit_name=_unit_name(plan, unit),
            level=level,
            as_of=as_of,
            issued_on=as_of,
            plan_title=plan.title,
            plan_document=plan.document,
            clauses=tuple(dict.fromkeys(_clause(clock, plan) for clock in clauses)),
            reason=None,
            earlier=(),
            matters=tuple(_matter(matter, where.get(matter.code)) for matter in _ordered(found)),
            finish_by=reply_by,
            reply_by=reply_by,
            feedback=f"回执报{office}。",
            copies=(),
        )
    )


def _clause(clock: Clock, plan: Plan) -> str:
    return plan.phase(clock).source if clock in _PHASES else _CLAUSES[clock]


def _matter(matter: Matter, place: Place | None) -> notices.Matter:
    return notices.Matter(
        code=matter.code,
        village=place.village if place else "",
        path=place.path if place else None,
        state=place.state if place else None,
        matter=clock_of(matter.deadline).label,
        due_on=matter.due_on,
    )


def alarm(
    facts: CaseFacts, why: str, to: Iterable[Person], plan: Plan, as_of: date, *, drill: bool
) -> Document:
    """The gravest alarm: a household without both heats, and everybody it goes to."""
    offices = (_unit_name(plan, one.unit) if one.unit else one.role.label for one in to)
    return notices.document(
        Alarm(
            drill=drill,
            unverified=(),
            number=None,
            issuer=f"{plan.county}清洁取暖工作领导小组办公室",
            recipients=tuple(dict.fromkeys(offices)),
            as_of=as_of,
            issued_on=as_of,
            households=(
                Cold(
                    code=facts.code,
                    unit_name=_unit_name(plan, facts.unit),
                    village=facts.village,
                    path=facts.path,
                    state=facts.state,
                    why=why,
                ),
            ),
        )
    )


def queue(
    connection: Connection, addressed: Sequence[tuple[str, Person, Document]], now: datetime
) -> list[str]:
    """Puts messages into the outbox, (key, to whom, what); answers the keys that were new."""
    rows = []
    for key, person, document in addressed:
        rows.append(
            {
                "key": key,
                "kind": document["kind"],
                "person": person.person,
                "subject": letters.subject(document),
                "urgent": document["kind"] == NoticeKind.ALARM,
                "document": json.dumps(document, ensure_ascii=False),
                "created_at": now,
                "status": QUEUED,
                "attempts": 0,
                "next_try_at": now,
            }
        )
    if not rows:
        return []
    query = insert(MESSAGE).on_conflict_do_nothing().returning(MESSAGE.c.key)
    new = set(connection.execute(query, rows).scalars())
    return [key for key, _, _ in addressed if key in new]


def outbox(connection: Connection, *wanted: ColumnElement[bool]) -> list[Document]:
    """These messages in the order in which they were queued: what `notify list` says of each."""
    query = select(MESSAGE).where(*wanted).order_by(MESSAGE.c.created_at, MESSAGE.c.key)
    return [
        {
            "key": row.key,
            "kind": row.kind,
            "person": row.person,
            "subject": row.subject,
            "urgent": row.urgent,
            "created_at": instant_text(row.created_at),
            "status": row.status,
            "attempts": row.attempts,
            "next_try_at": instant_text(row.next_try_at) if row.next_try_at else None,
            "last_error": row.last_error,
            "channel": row.channel,
            "sent_at": instant_text(row.sent_at) if row.sent_at else None,
            "document": json.loads(row.document),
        }
        for row in connection.execute(query)
    ]
