"""The first tables: journal, projections, personal data, and what the database refuses."""

import sqlalchemy as sa
from alembic import op

from workflow import triggers
from workflow.columns import Instant

revision = "0001"
down_revision = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _day(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Date(), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def upgrade() -> None:
    """From nothing to the first schema."""
    op.create_table(
        "journal",
        _number("seq"),
        _text("stream"),
        _number("version"),
        _text("previous", nullable=True),
        _text("kind"),
        _text("from_state", nullable=True),
        _text("to_state", nullable=True),
        _day("occurred_on"),
        sa.Column("recorded_at", Instant(), nullable=False),
        _text("actor"),
        _text("role"),
        _text("hash"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("stream", "version", name="journal_stream_version"),
    )
    op.create_index("ix_journal_kind", "journal", ["kind"])
    op.create_table(
        "household_case",
        _text("code"),
        *(_text(name) for name in ("unit", "village", "path", "kind", "area", "quota", "state")),
        _day("state_since"),
        _number("version"),
        _text("head_hash"),
        _day("due_on", nullable=True),
        _day("plan_due_on", nullable=True),
        _text("due_reason"),
        _day("select_on", nullable=True),
        sa.Column("facility_gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_index("ix_household_case_unit", "household_case", ["unit"])
    op.create_index("ix_household_case_state", "household_case", ["state"])
    op.create_index(
        "household_case_due",
        "household_case",
        ["due_on"],
        sqlite_where=sa.text("due_on IS NOT NULL"),
        postgresql_where=sa.text("due_on IS NOT NULL"),
    )
    op.create_table(
        "permission",
        _number("seq"),
        _text("case_code"),
        _text("source_state"),
        _day("permitted_on"),
        _text("permitted_by"),
        _number("acceptance_seq"),
        _day("accepted_on"),
        _text("accepted_by"),
        _number("readiness_seq"),
        _day("ready_on"),
        _day("season_first_day", nullable=True),
        _day("season_last_day", nullable=True),
        _text("plan"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_permission_case_code", "permission", ["case_code"])
    op.create_table(
        "officer",
        *(_text(name) for name in ("login", "name", "person", "role")),
        _text("unit", nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("login"),
    )
    op.create_table(
        "gate",
        *(_text(name) for name in ("unit", "village", "kind")),
        _day("opened_on"),
        sa.PrimaryKeyConstraint("unit", "village", "kind"),
    )
    op.create_table(
        "catalogue",
        *(_text(name) for name in ("model", "path", "brand", "lot")),
        sa.PrimaryKeyConstraint("model", "path"),
    )
    op.create_table(
        "plan_revision",
        _text("hash"),
        _text("name"),
        _number("seq"),
        _text("exempt_paths"),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    personal = ("name", "id_number", "credit_code", "phone", "meter", "address", "remarks")
    op.create_table(
        "personal",
        _text("case_code"),
        _number("version"),
        *(_text(name) for name in (*personal, "salt", "digest")),
        sa.PrimaryKeyConstraint("case_code", "version"),
    )
    op.create_table(
        "household_key",
        *(_text(name) for name in ("kind", "value", "case_code")),
        sa.PrimaryKeyConstraint("kind", "value"),
    )
    op.create_index("ix_household_key_case_code", "household_key", ["case_code"])
    op.create_table(
        "attachment",
        _text("sha256"),
        _number("size"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "receipt",
        _text("key"),
        _text("request"),
        _number("seq"),
        sa.PrimaryKeyConstraint("key"),
    )
    triggers.create(op.get_bind())
