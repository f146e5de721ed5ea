"""Deadlines, flags, letters and their delivery, and the scheduler's own tables."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from workflow.columns import Instant

revision = "0002"
down_revision = "0001"


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _day(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Date(), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Instant(), nullable=nullable)


def upgrade() -> None:
    """From the first schema."""
    op.create_table(
        "deadline",
        *(_text(name) for name in ("case_code", "name", "unit")),
        _day("due_on"),
        _day("next_rung_on", nullable=True),
        sa.PrimaryKeyConstraint("case_code", "name"),
    )
    op.create_index(
        "deadline_next_rung",
        "deadline",
        ["next_rung_on"],
        sqlite_where=sa.text("next_rung_on IS NOT NULL"),
        postgresql_where=sa.text("next_rung_on IS NOT NULL"),
    )
    op.create_table(
        "flag",
        *(_text(name) for name in ("case_code", "deadline", "rung", "unit")),
        _day("due_on"),
        _text("status"),
        _day("raised_on"),
        _instant("raised_at"),
        _text("why", nullable=True),
        sa.PrimaryKeyConstraint("case_code", "deadline", "rung"),
    )
    op.create_table(
        "notice",
        *(_text(name) for name in ("key", "person", "case_code", "unit")),
        _text("deadline", nullable=True),
        _text("rung"),
        _day("due_on", nullable=True),
        _text("told"),
        _instant("created_at"),
        _text("message", nullable=True),
        sa.Column("dropped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_notice_case_code", "notice", ["case_code"])
    op.create_index("ix_notice_message", "notice", ["message"])
    op.create_index(
        "notice_untold",
        "notice",
        ["person"],
        sqlite_where=sa.text("message IS NULL AND NOT dropped"),
        postgresql_where=sa.text("message IS NULL AND NOT dropped"),
    )
    op.create_table(
        "message",
        *(_text(name) for name in ("key", "kind", "person", "subject")),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        _instant("created_at"),
        _text("status"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _instant("next_try_at", nullable=True),
        _text("last_error", nullable=True),
        _text("channel", nullable=True),
        _instant("tried_at", nullable=True),
        _instant("sent_at", nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(
        "message_due",
        "message",
        ["next_try_at"],
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_table(
        "letter",
        *(_text(name) for name in ("number", "kind", "unit", "level")),
        _day("issued_on"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        _day("replied_on", nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "lease",
        *(_text(name) for name in ("name", "holder")),
        _instant("until"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "job",
        _text("name"),
        _instant("started_at"),
        _instant("finished_at", nullable=True),
        _instant("succeeded_at", nullable=True),
        _text("outcome", nullable=True),
        _instant("next_at", nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
