"""What goes out: the documents of letters, digests and alarms as plain JSON, and their queue.

Documents carry no personal data of a household: its code, its village, where it stands. How they
are worded and set is the business of `notifications`; how they leave, of the outbox.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection, select, type_coerce
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType

from states import lifecycle
from states.plan import Json, Plan
from states.vocabulary import Clock, Level, Role, State, Word
from workflow import cases
from workflow.models import MessageRow, instant_text

MESSAGE = MessageRow.metadata.tables["message"]
QUEUED, SENT = "queued", "sent"
Document = dict[str, Json]


class MessageKind(StrEnum):
    """What kind of message it is."""

    DIGEST = "digest"
    URGE = "urge"
    SUPERVISE = "supervise"
    ALARM = "alarm"


LETTER_LABELS = {MessageKind.URGE: "催办单", MessageKind.SUPERVISE: "督办通知"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is told: one person, however many logins."""

    person: str
    name: str
    role: Role
    unit: str | None


@dataclass(frozen=True, slots=True)
class Matter:
    """A deadline of a household that people are told of; `days` late, less than 0 before it."""

    code: str
    deadline: str
    due_on: date
    told: str

    def days(self, as_of: date) -> int:
        """How many days late it is; less than 0 before the deadline."""
        return (as_of - self.due_on).days


@dataclass(frozen=True, slots=True)
class Place:
    """Where a household is and how far it has come, as the table has it."""

    village: str
    state: str


# What ends a matter that is no step of the line.
_ANSWERS = {
    Clock.OBJECTION: "答复异议后销号",
    Clock.COMPLAINT: "办结投诉后销号",
    Clock.RESTITUTION: "恢复原状后销号",
    Clock.HEAT: "当日恢复供热",
}


def places(connection: Connection, codes: Iterable[str]) -> dict[str, Place]:
    """Village and state of these cases; what cannot be read is shown as it stands."""
    wanted = sorted(set(codes))
    case = cases.CASE.c
    found = {}
    for start in range(0, len(wanted), 500):
        query = select(
            case.code, type_coerce(case.village, NullType()), type_coerce(case.state, NullType())
        ).where(case.code.in_(wanted[start : start + 500]))
        for code, village, state in connection.execute(query):
            found[code] = Place(str(village), str(state))
    return found


def clock_of(deadline: str) -> Clock:
    """The clock behind a deadline's name or key. Raises ValueError."""
    return Clock(deadline.partition("@")[0].partition(":")[0])


def matters(found: Sequence[Matter], where: Mapping[str, Place], as_of: date) -> list[Json]:
    """The rows of a letter or digest, what is latest first."""
    ordered = sorted(found, key=lambda matter: (matter.due_on, matter.code, matter.deadline))
    return [_matter(matter, where.get(matter.code), as_of) for matter in ordered]


def _matter(matter: Matter, place: Place | None, as_of: date) -> Document:
    clock = clock_of(matter.deadline)
    return {
        **_household(matter.code, place),
        "matter": clock.label,
        "due_on": matter.due_on.isoformat(),
        "days": matter.days(as_of),
        "told": matter.told,
        "next_step": _ANSWERS.get(clock) or _next_step(place),
    }


def _household(code: str, place: Place | None) -> Document:
    state = place.state if place else ""
    return {
        "code": code,
        "village": place.village if place else "",
        "state": _label(State, state),
    }


def _label(words: type[Word], text: str) -> str:
    return words(text).label if text in tuple(words) else text


def _next_step(place: Place | None) -> str:
    if place is None or place.state not in tuple(State):
        return ""
    step = lifecycle.FORWARD.get(State(place.state))
    return step.label if step else ""


def event(code: str, place: Place | None, told: str) -> Document:
    """A digest's row of something that somebody else did."""
    return {**_household(code, place), "told": told}


def _head(kind: MessageKind, plan: Plan, as_of: date, *, drill: bool) -> Document:
    return {
        "kind": kind,
        "drill": drill,
        "county": plan.county,
        "plan": plan.title,
        "plan_document": plan.document,
        "as_of": as_of.isoformat(),
    }


def digest(
    plan: Plan, as_of: date, rows: Sequence[Json], events: Sequence[Json], *, drill: bool
) -> Document:
    """What one person is told on one day: deadlines near or past, and what others did."""
    head = _head(MessageKind.DIGEST, plan, as_of, drill=drill)
    return {**head, "rows": list(rows), "events": list(events)}


def letter(
    kind: MessageKind,
    number: str,
    unit: str,
    level: Level,
    rows: Sequence[Json],
    reply_by: date,
    plan: Plan,
    as_of: date,
    *,
    drill: bool,
) -> Document:
    """催办单 or 督办通知 to a unit, with the slip to be sent back (回执)."""
    named = plan.unit(unit)
    unit_name = named.name if named else unit
    return {
        **_head(kind, plan, as_of, drill=drill),
        "number": number,
        "title": f"关于{unit_name}逾期事项的{LETTER_LABELS[kind]}",
        "unit": unit,
        "unit_name": unit_name,
        "level": level.label,
        "issued_on": as_of.isoformat(),
        "reply_by": reply_by.isoformat(),
        "rows": list(rows),
    }


def alarm(
    code: str, unit: str, place: Place | None, why: str, plan: Plan, as_of: date, *, drill: bool
) -> Document:
    """The gravest alarm: a household without both heats."""
    named = plan.unit(unit)
    return {
        **_head(MessageKind.ALARM, plan, as_of, drill=drill),
        "unit": unit,
        "unit_name": named.name if named else unit,
        "why": why,
        "next_step": _ANSWERS[Clock.HEAT],
        **_household(code, place),
    }


def subject(document: Mapping[str, Json]) -> str:
    """The line by which a message is known."""
    drill = "【演练】" if document["drill"] else ""
    rows = document.get("rows")
    match document["kind"]:
        case MessageKind.ALARM:
            return f"{drill}【紧急】{document['code']} 户新旧取暖都没有"
        case MessageKind.DIGEST:
            assert isinstance(rows, list)
            late = sum(isinstance(row, dict) and _late(row) for row in rows)
            events = document["events"]
            assert isinstance(events, list)
            parts = (
                [f"期限 {len(rows)} 件" + (f"（逾期 {late} 件）" if late else "")] if rows else []
            )
            parts += [f"新情况 {len(events)} 件"] if events else []
            return f"{drill}{document['as_of']} 提醒：{'，'.join(parts)}"
    assert isinstance(rows, list)
    return f"{drill}{document['title']}（{document['number']}，{len(rows)} 件）"


def _late(row: Mapping[str, Json]) -> bool:
    days = row["days"]
    return isinstance(days, int) and days > 0


def queue(
    connection: Connection, addressed: Sequence[tuple[str, Person, Document]], now: datetime
) -> list[str]:
    """Puts messages into the outbox, (key, to whom, what); answers the keys that were new."""
    rows = []
    for key, person, document in addressed:
        whole: Document = {
            **document,
            "person": person.name,
            "role": person.role.label,
            "person_unit": person.unit,
        }
        rows.append(
            {
                "key": key,
                "kind": document["kind"],
                "person": person.person,
                "subject": subject(document),
                "urgent": document["kind"] == MessageKind.ALARM,
                "document": json.dumps(whole, ensure_ascii=False),
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
