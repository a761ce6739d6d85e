"""Merged tables: their layouts, what was merged into them, the conflict ledger, and what does not fit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that hold the merged rows are made when the first site announces a schema."""
    op.create_table(
        "merged_tables",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False, comment="packed: columns by place, names and types"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merged_tables")),
        sa.UniqueConstraint("name", name=op.f("uq_merged_tables_name")),
        comment="Tables of sites that are merged: the rows in merged_ID, shown by the view table_NAME.",
    )
    op.create_table(
        "merged_batches",
        sa.Column("batch_id", _ID, autoincrement=False, nullable=False),
        _table_id(),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_merged_batches_batch_id")),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_merged_batches_table_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_merged_batches")),
        comment="Batches of changes that are merged.",
    )
    _create_conflicts()
    _create_misfits()


def _table_id() -> sa.Column[int]:
    return sa.Column("table_id", _ID, nullable=False)


def _create_conflicts() -> None:
    op.create_table(
        "merge_conflicts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        _table_id(),
        sa.Column("mark", sa.LargeBinary(), nullable=False, comment="of the value that has lost"),
        sa.Column("row_key", sa.Text(), nullable=False, comment="a JSON list"),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False, comment="what has decided; deleted: the row was"),
        sa.Column("kept_value", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("kept_site_id", _ID, nullable=False),
        sa.Column("lost_value", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("lost_at", sa.BigInteger(), nullable=False),
        sa.Column("lost_site_id", _ID, nullable=False),
        sa.Column("found_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["kept_site_id"], ["sites.id"], name=op.f("fk_merge_conflicts_kept_site_id")),
        sa.ForeignKeyConstraint(["lost_site_id"], ["sites.id"], name=op.f("fk_merge_conflicts_lost_site_id")),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_merge_conflicts_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merge_conflicts")),
        sa.UniqueConstraint("mark", name=op.f("uq_merge_conflicts_mark")),
        comment="Every value that has lost against one of another site.",
    )
    op.create_index(op.f("ix_merge_conflicts_table_id_id"), "merge_conflicts", ["table_id", "id"], unique=False)


def _create_misfits() -> None:
    op.create_table(
        "merge_misfits",
        sa.Column("batch_id", _ID, autoincrement=False, nullable=False),
        sa.Column(
            "place",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="among the changes of the batch, from 0",
        ),
        _table_id(),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("found_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_merge_misfits_batch_id")),
        sa.ForeignKeyConstraint(["table_id"], ["merged_tables.id"], name=op.f("fk_merge_misfits_table_id")),
        sa.PrimaryKeyConstraint("batch_id", "place", name=op.f("pk_merge_misfits")),
        comment="Changes that a merged table cannot take in.",
    )
    op.create_index(op.f("ix_merge_misfits_table_id"), "merge_misfits", ["table_id"], unique=False)
