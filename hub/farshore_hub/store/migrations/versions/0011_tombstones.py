"""How far each site that changes or follows a table has come, so that tombstones all have heard of are collected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_READERS = {
    "asked_us": ("0", "the hub's clock when it last told how far it is; 0: it does not follow the table"),
    "asked_version": ("0", "up to here the site's copy had everything when it told"),
    "asked_number": ("0", "of the last change that it had captured then"),
    "asked_hlc": ("0", "what it captures later is later"),
    "safe_version": ("0", "as asked_version, and all that it had captured before is merged"),
    "safe_hlc": ("0", "as asked_hlc, likewise"),
}

_TABLES = (
    ("horizon", "-1", "no change up to this stamp is merged"),
    ("floor", "0", "tombstones up to this version may be gone"),
)


def upgrade() -> None:
    """Add the columns; nothing is collected before sites have told."""
    for name, (default, comment) in _READERS.items():
        reader: sa.Column[int] = sa.Column(
            name, sa.BigInteger(), server_default=default, nullable=False, comment=comment
        )
        op.add_column("table_readers", reader)
    counted: sa.Column[bool] = sa.Column(
        "is_out", sa.Boolean(), server_default=sa.false(), nullable=False, comment="counted out"
    )
    op.add_column("table_readers", counted)
    for name, default, comment in _TABLES:
        column: sa.Column[int] = sa.Column(
            name, sa.BigInteger(), server_default=default, nullable=False, comment=comment
        )
        op.add_column("merged_tables", column)
