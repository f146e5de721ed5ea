"""Idempotency keys of each officer's own, for every command that writes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Gives each known key to who used it; the keys of a batch's rows stay everybody's."""
    op.execute("CREATE TABLE receipt_before AS SELECT key, request, seq FROM receipt")
    op.drop_table("receipt")
    op.create_table(
        "receipt",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("login", "key"),
    )
    op.execute(
        "INSERT INTO receipt (login, key, request, seq) "
        "SELECT CASE WHEN receipt_before.key LIKE 'batch:%' THEN 'system' ELSE actor END, "
        "receipt_before.key, request, receipt_before.seq "
        "FROM receipt_before JOIN journal ON journal.seq = receipt_before.seq"
    )
    op.drop_table("receipt_before")
