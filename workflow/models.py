"""The tables, declared. No rule lives here; what the database itself must refuse is in `triggers`.

The schema is compared with this declaration; statements stand on `tables`, written from it.
"""

from datetime import date, datetime

from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from workflow.columns import Instant

metadata: MetaData = SQLModel.metadata


def _partial(name: str, column: str, *, where: str) -> Index:
    """An index over some rows, on either database."""
    return Index(name, column, sqlite_where=text(where), postgresql_where=text(where))


class JournalRow(SQLModel, table=True):
    """One event: the canonical bytes, and the columns read from them."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("stream", "version", name="journal_stream_version"),)

    seq: int = Field(primary_key=True)
    stream: str
    version: int
    previous: str | None = Field(default=None)
    kind: str = Field(index=True)
    from_state: str | None = Field(default=None)
    to_state: str | None = Field(default=None)
    occurred_on: date
    recorded_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    actor: str
    role: str
    hash: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    signature: str | None = Field(default=None)


class CaseRow(SQLModel, table=True):
    """Where a case stands: a projection of its stream."""

    __tablename__ = "household_case"
    __table_args__ = (_partial("household_case_due", "due_on", where="due_on IS NOT NULL"),)

    code: str = Field(primary_key=True)
    unit: str = Field(index=True)
    village: str
    path: str
    kind: str
    area: str
    quota: str
    state: str = Field(index=True)
    state_since: date
    version: int
    head_hash: str
    due_on: date | None = Field(default=None)
    plan_due_on: date | None = Field(default=None)
    due_reason: str
    select_on: date | None = Field(default=None)
    facility_gone: bool = Field(default=False)


class PermissionRow(SQLModel, table=True):
    """What a permission rests on, so that the database itself can refuse a baseless one."""

    __tablename__ = "permission"

    seq: int = Field(primary_key=True)
    case_code: str = Field(index=True)
    source_state: str
    permitted_on: date
    permitted_by: str
    acceptance_seq: int
    accepted_on: date
    accepted_by: str
    readiness_seq: int
    ready_on: date
    season_first_day: date | None = Field(default=None)
    season_last_day: date | None = Field(default=None)
    plan: str


class OfficerRow(SQLModel, table=True):
    """The officers' register: a projection of the stream `officers`."""

    __tablename__ = "officer"

    login: str = Field(primary_key=True)
    name: str
    person: str
    role: str
    unit: str | None = Field(default=None)
    active: bool = Field(default=True)


class OfficerKeyRow(SQLModel, table=True):
    """The public keys that officers sign with: a projection of the stream `officers`."""

    __tablename__ = "officer_key"

    key: str = Field(primary_key=True)
    login: str = Field(index=True)
    added_seq: int
    valid_until: date | None = Field(default=None)
    revoked_seq: int | None = Field(default=None)


class WitnessReceiptRow(SQLModel, table=True):
    """What a witness answered to a checkpoint: the note speaks for itself (docs/proof.md)."""

    __tablename__ = "witness_receipt"

    witness: str = Field(primary_key=True)
    size: int = Field(primary_key=True)
    note: str = Field(sa_column=Column(Text, nullable=False))


class GateRow(SQLModel, table=True):
    """The day a village's network opened: a projection of the stream `gates`."""

    __tablename__ = "gate"

    unit: str = Field(primary_key=True)
    village: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    opened_on: date


class CatalogueRow(SQLModel, table=True):
    """The 中标设备清单: a projection of the stream `catalogue`."""

    __tablename__ = "catalogue"

    model: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    brand: str
    lot: str


class PlanRow(SQLModel, table=True):
    """The plans that were in force, by hash: a projection of the stream `plan`."""

    __tablename__ = "plan_revision"

    hash: str = Field(primary_key=True)
    name: str
    seq: int
    exempt_paths: str
    document: str = Field(sa_column=Column(Text, nullable=False))


class PersonalRow(SQLModel, table=True):
    """A version of a household's personal data; the journal holds its salted hash only."""

    __tablename__ = "personal"

    case_code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    name: str
    id_number: str
    credit_code: str
    phone: str
    meter: str
    address: str
    remarks: str
    salt: str
    digest: str


class KeyRow(SQLModel, table=True):
    """One meter, one ID, one serial: one case that is not closed (design, section 5)."""

    __tablename__ = "household_key"

    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    case_code: str = Field(index=True)


class AttachmentRow(SQLModel, table=True):
    """The content of an attached file, by its SHA-256."""

    __tablename__ = "attachment"

    sha256: str = Field(primary_key=True)
    size: int
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ReceiptRow(SQLModel, table=True):
    """What an officer's command under this idempotency key was answered.

    `answer` is None where the event `seq` itself gives it again. No personal data of households.
    """

    __tablename__ = "receipt"

    login: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request: str
    seq: int
    answer: str | None = Field(default=None, sa_column=Column(Text))


class DeadlineRow(SQLModel, table=True):
    """A running clock of a case: a projection of its stream, for the sweep to find what is due.

    `name` is which of the case's clocks it is; `next_rung_on` the day on which it reaches its next
    rung, None when the last is behind it.
    """

    __tablename__ = "deadline"
    __table_args__ = (
        _partial("deadline_next_rung", "next_rung_on", where="next_rung_on IS NOT NULL"),
    )

    case_code: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    unit: str
    due_on: date
    next_rung_on: date | None = Field(default=None)


class FlagRow(SQLModel, table=True):
    """A rung that a deadline of a case reached, claimed once: the sweep's memory.

    `deadline` is the clock's name and its day; `status` is `raised` (to be told), `superseded` (a
    higher rung was reached in the same sweep), `void` (the deadline moved) or `met`.
    """

    __tablename__ = "flag"

    case_code: str = Field(primary_key=True)
    deadline: str = Field(primary_key=True)
    rung: str = Field(primary_key=True)
    unit: str
    due_on: date
    status: str
    raised_on: date
    raised_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    why: str | None = Field(default=None)


class NoticeRow(SQLModel, table=True):
    """One thing that one person is to be told; `message` is the message that tells it."""

    __tablename__ = "notice"
    __table_args__ = (_partial("notice_untold", "person", where="message IS NULL AND NOT dropped"),)

    key: str = Field(primary_key=True)
    person: str
    case_code: str = Field(index=True)
    unit: str
    deadline: str | None = Field(default=None)
    rung: str
    due_on: date | None = Field(default=None)
    told: str
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    message: str | None = Field(default=None, index=True)
    dropped: bool = Field(default=False)


class MessageRow(SQLModel, table=True):
    """What goes out to one person: the outbox. Its key is sent once.

    `document` is what the letter says, as JSON, without personal data of households. `status` is
    `queued`, `sending` (an attempt began), `sent` or `given_up`; `channel` and `tried_at` are those
    of the last attempt.
    """

    __tablename__ = "message"
    __table_args__ = (_partial("message_due", "next_try_at", where="next_try_at IS NOT NULL"),)

    key: str = Field(primary_key=True)
    kind: str
    person: str
    subject: str
    urgent: bool
    document: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    status: str
    attempts: int = Field(default=0)
    next_try_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    last_error: str | None = Field(default=None)
    channel: str | None = Field(default=None)
    tried_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    sent_at: datetime | None = Field(default=None, sa_column=Column(Instant))


class LetterRow(SQLModel, table=True):
    """An official letter with its number: a projection of the stream `letters`."""

    __tablename__ = "letter"

    number: str = Field(primary_key=True)
    kind: str
    unit: str
    level: str
    issued_on: date
    seq: int
    document: str = Field(sa_column=Column(Text, nullable=False))
    replied_on: date | None = Field(default=None)


class LeaseRow(SQLModel, table=True):
    """Who leads among several schedulers, and until when."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_column=Column(Instant, nullable=False))


class JobRow(SQLModel, table=True):
    """The last run of each of the scheduler's jobs, and the last that went well."""

    __tablename__ = "job"

    name: str = Field(primary_key=True)
    started_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    succeeded_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    outcome: str | None = Field(default=None)
    next_at: datetime | None = Field(default=None, sa_column=Column(Instant))
