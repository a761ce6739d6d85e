"""What an audit compares with and what it has found: digests of rows in the lake, and damages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of digests, and that of damages."""
    op.create_table(
        "row_digests",
        sa.Column(
            "batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_row_digests_batch_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_row_digests")),
        comment="What the rows of a batch in the lake add up to. Not in batches: their bytes would be read too.",
    )
    op.create_table(
        "damages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column(
            "cause", sa.String(length=16), nullable=False, comment="batch, lake or ledger: what was found damaged"
        ),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="sealed bytes that were damaged, as far as known"),
        sa.Column("found_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "settled_us", sa.BigInteger(), nullable=True, comment="when everything of it was stored again, or given up"
        ),
        sa.Column("outcome", sa.String(length=12), nullable=True, comment="healed or lost"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_damages_account_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_damages_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_damages")),
        comment="What was found damaged at the hub and is wanted again from its site.",
    )
    op.create_index(op.f("ix_damages_account_id"), "damages", ["account_id"], unique=False)
    op.create_index(op.f("ix_damages_site_id_settled_us"), "damages", ["site_id", "settled_us"], unique=False)
