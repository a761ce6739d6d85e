"""Merged rows are numbered as they change, and the hub writes too: its edits, and conflicts that it has a part in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEPT = (
    "id, table_id, mark, row_key, policy, kept_value, kept_at, kept_site_id, lost_value, lost_at, lost_site_id, "
    "found_us"
)


def upgrade() -> None:
    """Make the tables anew that change; merged tables themselves get their columns when they are opened."""
    op.add_column(
        "merged_tables",
        sa.Column(
            "version", sa.BigInteger(), nullable=False, server_default="0", comment="the last number of a changed row"
        ),
    )
    op.add_column(
        "merged_tables",
        sa.Column(
            "rules",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="JSON: the policies that were followed up to now",
        ),
    )
    op.create_table(
        "table_edits",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("table_id", _ID, nullable=False),
        sa.Column("change", sa.Text(), nullable=False, comment="as a site would say it; exact JSON"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="its stamp"),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=63), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_table_edits_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_table_edits")),
        comment="What people changed in merged tables at the hub.",
    )
    op.create_index(op.f("ix_table_edits_table_id_id"), "table_edits", ["table_id", "id"], unique=False)
    _create_conflicts()
    # Of 0005's conflicts: what they say stays, and their numbers too.
    op.execute(
        f'INSERT INTO table_conflicts ({_KEPT}, "column", state) '  # noqa: S608 - names of our own
        f"SELECT {_KEPT}, \"column\", 'lost' FROM merge_conflicts"
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('table_conflicts', 'id'), max(id)) "
            "FROM table_conflicts HAVING max(id) > 0"
        )
    op.drop_table("merge_conflicts")


def _create_conflicts() -> None:
    op.create_table(
        "table_conflicts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("table_id", _ID, nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False, comment="of the value that has lost"),
        sa.Column("row_key", sa.Text(), nullable=False, comment="a JSON list"),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False, comment="what has decided; deleted: the row was"),
        sa.Column("kept_value", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("kept_site_id", _ID, nullable=True, comment="null: the hub"),
        sa.Column("lost_value", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("lost_at", sa.BigInteger(), nullable=False),
        sa.Column("lost_site_id", _ID, nullable=True, comment="null: the hub"),
        sa.Column("found_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="lost, open, resolved or undone"),
        sa.Column("edit_id", _ID, nullable=True, comment="the edit that has settled it"),
        sa.ForeignKeyConstraint(["edit_id"], ["table_edits.id"], name=op.f("fk_table_conflicts_edit_id")),
        sa.ForeignKeyConstraint(["kept_site_id"], ["sites.id"], name=op.f("fk_table_conflicts_kept_site_id")),
        sa.ForeignKeyConstraint(["lost_site_id"], ["sites.id"], name=op.f("fk_table_conflicts_lost_site_id")),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_table_conflicts_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_table_conflicts")),
        sa.UniqueConstraint("mark", name=op.f("uq_table_conflicts_mark")),
        comment="Every value that has lost against one of another site, or of the hub.",
    )
    op.create_index(op.f("ix_table_conflicts_table_id_id"), "table_conflicts", ["table_id", "id"], unique=False)
