"""Up to where backups have an account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Nothing is known to be in a backup yet."""
    op.add_column(
        "accounts",
        sa.Column(
            "archived",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="up to here backups have everything",
        ),
    )
