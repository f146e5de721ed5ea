"""Signatures beside the events, the officers' keys, the witnesses' receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds to the first schema; the journal is not rebuilt, so its triggers stay."""
    op.add_column("journal", sa.Column("signature", sa.String(), nullable=True))
    op.create_table(
        "officer_key",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("added_seq", sa.Integer(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("revoked_seq", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_officer_key_login", "officer_key", ["login"])
    op.create_table(
        "witness_receipt",
        sa.Column("witness", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("witness", "size"),
    )
