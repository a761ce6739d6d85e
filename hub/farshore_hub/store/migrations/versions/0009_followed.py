"""What sites that follow merged tables are told by: the hub's starts, how far their changes are, rows that went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; nobody follows a table yet."""
    op.create_table(
        "table_epochs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("table_id", _ID, nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False, comment="random"),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="the table's version when it began"),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_table_epochs_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_table_epochs")),
        comment="Starts of the hub, as sites' cursors name them; what a backup does not have is not known after it.",
    )
    op.create_index(op.f("ix_table_epochs_table_id_id"), "table_epochs", ["table_id", "id"], unique=False)
    op.create_table(
        "table_readers",
        sa.Column("table_id", _ID, autoincrement=False, nullable=False),
        sa.Column("site_id", _ID, autoincrement=False, nullable=False),
        sa.Column("merged", sa.BigInteger(), nullable=False, comment="the site's changes are merged up to this number"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_table_readers_site_id")),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_table_readers_table_id")),
        sa.PrimaryKeyConstraint("table_id", "site_id", name=op.f("pk_table_readers")),
        comment="How far sites' changes of a table are merged; what they are told with its rows.",
    )
    op.create_table(
        "table_departures",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("table_id", _ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="that the row got when it went"),
        sa.Column("scope", sa.Text(), nullable=False, comment="what the filter's columns held; exact JSON"),
        sa.Column("row_key", sa.Text(), nullable=False, comment="exact JSON"),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_table_departures_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_table_departures")),
        comment="Rows that left a scope: sites that have rows of that scope are told.",
    )
    op.create_index(
        op.f("ix_table_departures_table_id_scope_version"),
        "table_departures",
        ["table_id", "scope", "version"],
        unique=False,
    )
