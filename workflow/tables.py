"""The tables as statements name them. Written from `workflow.models`: do not edit.

The models are the declaration, made with SQLModel; building its classes takes longer than most
commands take for all the rest, so statements stand on these, which are the same tables
(tests/test_workflow_tables.py writes this file and compares them).
"""

from sqlalchemy import Boolean, Column, Date, Integer, LargeBinary, MetaData, String, Table, Text

from workflow.columns import Instant

metadata = MetaData()
ATTACHMENT = Table(
    "attachment",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
CATALOGUE = Table(
    "catalogue",
    metadata,
    Column("model", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("brand", String, nullable=False),
    Column("lot", String, nullable=False),
)
DEADLINE = Table(
    "deadline",
    metadata,
    Column("case_code", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("unit", String, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("next_rung_on", Date),
)
FLAG = Table(
    "flag",
    metadata,
    Column("case_code", String, primary_key=True),
    Column("deadline", String, primary_key=True),
    Column("rung", String, primary_key=True),
    Column("unit", String, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("status", String, nullable=False),
    Column("raised_on", Date, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("why", String),
)
GATE = Table(
    "gate",
    metadata,
    Column("unit", String, primary_key=True),
    Column("village", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("opened_on", Date, nullable=False),
)
HOUSEHOLD_CASE = Table(
    "household_case",
    metadata,
    Column("code", String, primary_key=True),
    Column("unit", String, nullable=False),
    Column("village", String, nullable=False),
    Column("path", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("area", String, nullable=False),
    Column("quota", String, nullable=False),
    Column("state", String, nullable=False),
    Column("state_since", Date, nullable=False),
    Column("version", Integer, nullable=False),
    Column("head_hash", String, nullable=False),
    Column("due_on", Date),
    Column("plan_due_on", Date),
    Column("due_reason", String, nullable=False),
    Column("select_on", Date),
    Column("facility_gone", Boolean, nullable=False, default=False),
)
HOUSEHOLD_KEY = Table(
    "household_key",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("case_code", String, nullable=False),
)
JOB = Table(
    "job",
    metadata,
    Column("name", String, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("succeeded_at", Instant),
    Column("outcome", String),
    Column("next_at", Instant),
)
JOURNAL = Table(
    "journal",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("stream", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", String),
    Column("kind", String, nullable=False),
    Column("from_state", String),
    Column("to_state", String),
    Column("occurred_on", Date, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("role", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signature", String),
)
LEASE = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", Instant, nullable=False),
)
LETTER = Table(
    "letter",
    metadata,
    Column("number", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("level", String, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("replied_on", Date),
)
MESSAGE = Table(
    "message",
    metadata,
    Column("key", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("person", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_try_at", Instant),
    Column("last_error", String),
    Column("channel", String),
    Column("tried_at", Instant),
    Column("sent_at", Instant),
)
NOTICE = Table(
    "notice",
    metadata,
    Column("key", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("case_code", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("deadline", String),
    Column("rung", String, nullable=False),
    Column("due_on", Date),
    Column("told", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("message", String),
    Column("dropped", Boolean, nullable=False, default=False),
)
OFFICER = Table(
    "officer",
    metadata,
    Column("login", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("person", String, nullable=False),
    Column("role", String, nullable=False),
    Column("unit", String),
    Column("active", Boolean, nullable=False, default=True),
)
OFFICER_KEY = Table(
    "officer_key",
    metadata,
    Column("key", String, primary_key=True),
    Column("login", String, nullable=False),
    Column("added_seq", Integer, nullable=False),
    Column("valid_until", Date),
    Column("revoked_seq", Integer),
)
PERMISSION = Table(
    "permission",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("case_code", String, nullable=False),
    Column("source_state", String, nullable=False),
    Column("permitted_on", Date, nullable=False),
    Column("permitted_by", String, nullable=False),
    Column("acceptance_seq", Integer, nullable=False),
    Column("accepted_on", Date, nullable=False),
    Column("accepted_by", String, nullable=False),
    Column("readiness_seq", Integer, nullable=False),
    Column("ready_on", Date, nullable=False),
    Column("season_first_day", Date),
    Column("season_last_day", Date),
    Column("plan", String, nullable=False),
)
PERSONAL = Table(
    "personal",
    metadata,
    Column("case_code", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("id_number", String, nullable=False),
    Column("credit_code", String, nullable=False),
    Column("phone", String, nullable=False),
    Column("meter", String, nullable=False),
    Column("address", String, nullable=False),
    Column("remarks", String, nullable=False),
    Column("salt", String, nullable=False),
    Column("digest", String, nullable=False),
)
PLAN_REVISION = Table(
    "plan_revision",
    metadata,
    Column("hash", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("exempt_paths", String, nullable=False),
    Column("document", Text, nullable=False),
)
RECEIPT = Table(
    "receipt",
    metadata,
    Column("login", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request", String, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("answer", Text),
)
WITNESS_RECEIPT = Table(
    "witness_receipt",
    metadata,
    Column("witness", String, primary_key=True),
    Column("size", Integer, primary_key=True),
    Column("note", Text, nullable=False),
)
