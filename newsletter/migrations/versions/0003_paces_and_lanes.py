"""Paces and lanes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailbox_domains",
        sa.Column("domain", sa.String(length=254), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("look_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_mailbox_domains")),
    )
    op.create_table(
        "paces",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("slowed_to", sa.Float(), nullable=True),
        sa.Column("ceiling", sa.Float(), nullable=False),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_free", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_seconds", sa.Integer(), nullable=False),
        sa.Column("warming_since", sa.Date(), nullable=True),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("spent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_paces")),
    )
    # In place on both databases: the copy that a batch makes would lose SQLite's WITHOUT ROWID.
    op.add_column("deliveries", sa.Column("lane", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
