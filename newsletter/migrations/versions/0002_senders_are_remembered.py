"""Senders are known by their process, and remembered by their machine."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restorations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mark", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restorations")),
        sa.UniqueConstraint("mark", name=op.f("uq_restorations_mark")),
    )
    with op.batch_alter_table("senders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("process", sa.String(length=120), server_default="", nullable=False))
        batch_op.add_column(sa.Column("mark", sa.String(length=32), server_default="", nullable=False))
        batch_op.add_column(sa.Column("renewals", sa.Integer(), server_default="0", nullable=False))
