"""Official letters: their numbers, their events in the journal, and the slips that come back.

催办单 goes out at 橙, 督办通知 at 红: one to a unit and sweep, with all its matters newly there.
Both are numbered through the year, each in a series of its own, and answered with a paper (回执).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from notifications import notices
from notifications.notices import NoticeKind
from states.errors import StepRefused, UsageFault
from states.plan import Json, Plan
from states.vocabulary import Level, Role
from states.workdays import local_date
from workflow import attachments, journal, messages, register, tables
from workflow.attachments import File
from workflow.db import Database
from workflow.errors import NotPermitted
from workflow.journal import Draft, Pen
from workflow.messages import Matter, Person

LETTER = tables.LETTER
STREAM = "letters"
KINDS = {Level.ORANGE: NoticeKind.URGE, Level.RED: NoticeKind.SUPERVISE}
_ANSWERERS = (Role.UNIT_OFFICER, Role.UNIT_HEAD, Role.COUNTY_OFFICE)


class Letter(Struct, frozen=True):
    """A letter as the register of letters has it."""

    number: str
    kind: str
    unit: str
    level: str
    issued_on: date
    document: Mapping[str, Json]
    replied_on: date | None

    @property
    def reply_by(self) -> date:
        """The day by which the slip is to be back."""
        return date.fromisoformat(str(self.document["reply_by"]))

    def unanswered(self, as_of: date) -> bool:
        """Whether the slip should be back and is not."""
        return self.replied_on is None and as_of > self.reply_by


def message_key(number: str, person: Person) -> str:
    """The key of the message by which a letter reaches a person."""
    return f"letter:{number}:{person.person}"


def issue(
    pen: Pen,
    plan: Plan,
    unit: str,
    level: Level,
    found: Sequence[Matter],
    *,
    drill: bool,
) -> tuple[str, messages.Document]:
    """Issues a letter of these matters to a unit; answers its number and what it says."""
    kind, today = KINDS[level], local_date(pen.now)
    number = _next_number(pen.connection, plan, kind, today)
    reply_by = plan.calendar.after(today, plan.rules.reply_days.value)
    where = messages.places(pen.connection, (matter.code for matter in found))
    document = messages.letter(
        kind, number, unit, level, found, where, reply_by, plan, today, drill=drill
    )
    event = pen.add(
        Draft(
            STREAM,
            "letter_issued",
            today,
            {
                "number": number,
                "kind": kind,
                "unit": unit,
                "level": level,
                "reply_by": reply_by.isoformat(),
                "matters": [
                    {"case": m.code, "deadline": m.deadline, "due_on": m.due_on.isoformat()}
                    for m in found
                ],
            },
        )
    )
    pen.write()
    pen.connection.execute(
        insert(LETTER).values(
            number=number,
            kind=kind,
            unit=unit,
            level=level,
            issued_on=today,
            seq=event.seq,
            document=json.dumps(document, ensure_ascii=False),
        )
    )
    return number, document


def _next_number(connection: Connection, plan: Plan, kind: NoticeKind, today: date) -> str:
    year = date(today.year, 1, 1), date(today.year, 12, 31)
    query = (
        select(func.count())
        .select_from(LETTER)
        .where(LETTER.c.kind == kind, LETTER.c.issued_on.between(*year))
    )
    number = connection.execute(query).scalar_one() + 1
    return notices.number(plan.letter_mark, kind, today.year, number)


def reply(
    database: Database,
    number: str,
    files: Sequence[File],
    *,
    login: str,
    now: datetime,
    reason: str | None = None,
) -> Letter:
    """Takes the slip of a letter back, which closes the letter; its matters are late as before.

    The letter is named by its number, the brackets as they come, or by the code on the slip.
    Raises NotPermitted when there is no such letter for this officer, UsageFault without a file,
    StepRefused when it was answered before.
    """
    with database.transaction() as connection:
        who = register.writer(connection, login)
        found = _named(connection, number)
        mine = found is not None and who.answers_for(found.unit) and who.role in _ANSWERERS
        if found is None or not mine:
            raise NotPermitted(
                f"没有文号为 {number} 的函件，或不由您回执",
                place=number,
                remedy="核对文号；xianli notify list --all 列出函件",
            )
        if not files:
            raise UsageFault("须附回执", place="--attach", remedy="加 --attach 文件")
        if found.replied_on is not None:
            raise StepRefused(f"{found.number} 已于 {found.replied_on} 收到回执", place=number)
        number = found.number
        pen = Pen(connection, who, now, register.plan_to_act_on(connection))
        today = local_date(pen.now)
        pen.add(
            Draft(
                STREAM,
                "letter_answered",
                today,
                {"number": number},
                reason=reason,
                attachments=tuple(file.attached for file in files),
            )
        )
        pen.write()
        attachments.keep(connection, files)
        connection.execute(update(LETTER).where(LETTER.c.number == number).values(replied_on=today))
        return next(letters(connection, number=number))


def _named(connection: Connection, typed: str) -> Letter | None:
    codes, number = notices.reply_codes(typed), _plain_brackets(typed)
    for letter in letters(connection):
        if notices.reply_code(letter.number) in codes or _plain_brackets(letter.number) == number:
            return letter
    return None


def _plain_brackets(number: str) -> str:
    return re.sub(r"[〔［\[【（(](\d{4})[〕］\]】）)]", r"(\1)", "".join(number.split()))


def letters(connection: Connection, *, number: str | None = None) -> Iterator[Letter]:
    """The register of letters in the order of issue."""
    query = select(LETTER).order_by(LETTER.c.seq)
    if number is not None:
        query = query.where(LETTER.c.number == number)
    for row in connection.execute(query):
        yield Letter(
            row.number,
            row.kind,
            row.unit,
            row.level,
            row.issued_on,
            json.loads(row.document),
            row.replied_on,
        )


def in_journal(connection: Connection) -> dict[object, object]:
    """What the register of letters must say, by number: kind, unit, level, issued, answered."""
    found: dict[object, object] = {}
    issued: dict[str, tuple[object, ...]] = {}
    for event in journal.events_of(connection, STREAM):
        evidence = event["evidence"]
        assert isinstance(evidence, dict)
        number = str(evidence["number"])
        if event["kind"] == "letter_issued":
            kept = evidence["kind"], evidence["unit"], evidence["level"], event["occurred_on"]
            issued[number] = kept
            found[number] = (*kept, None)
        else:
            found[number] = (*issued[number], event["occurred_on"])
    return found
