"""What became of misfits: they can be tried once more after somebody has declared what they mean."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """All that are there wait."""
    for column in (
        sa.Column("state", sa.String(16), server_default="waiting", nullable=False, comment="waiting or merged"),
        sa.Column(
            "tried",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="with how many declarations of the table",
        ),
        sa.Column("settled_us", sa.BigInteger(), nullable=True, comment="when it was merged after all"),
    ):
        op.add_column("merge_misfits", column)
    op.create_index(
        op.f("ix_merge_misfits_table_id_state_tried"), "merge_misfits", ["table_id", "state", "tried"], unique=False
    )
