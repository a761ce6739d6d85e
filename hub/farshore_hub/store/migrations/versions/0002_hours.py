"""Records by the hour, and the facts that the accounts are made of.

What was known before stands as one claim of each account, so that the ledger can be made again from its facts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_UNTOLD = sa.text("told_count < head AND stored_count + receipted_count < head")
_KNOWN_BEFORE = """
INSERT INTO claims (account_id, at_us, stated_by, number, head, held, oldest_us, closed)
SELECT id, coalesce(stated_us, 0), stated_by, statement_number, head, held, oldest_us, closed FROM accounts ORDER BY id
"""
_DAMAGED = "UPDATE batches SET damaged_us = received_us WHERE quarantined LIKE 'damaged: %' AND lake_commit IS NULL"


def upgrade() -> None:
    """Add the counts by hour and the journal."""
    op.add_column("accounts", _told_count())
    op.add_column("accounts", _placed())
    op.create_index("ix_accounts_untold", "accounts", ["site_id"], sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
    op.add_column("batches", _hours("packed counts by hour of what was taken; NULL is not known yet"))
    found = "when its bytes were found damaged, and its records wanted again"
    op.add_column("batches", sa.Column("damaged_us", sa.BigInteger(), nullable=True, comment=found))
    op.add_column("receipts", _hours("packed counts by hour of the whole range; NULL is not known"))
    _create_journal()
    _create_days()
    op.execute(_KNOWN_BEFORE)
    op.execute(_DAMAGED)


def _id(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=name == "id", nullable=False)


def _told_count() -> sa.Column[int]:
    comment = "produced, as told by the hour"
    return sa.Column("told_count", sa.BigInteger(), server_default="0", nullable=False, comment=comment)


def _placed() -> sa.Column[bool]:
    comment = "some hours are inferred"
    return sa.Column("placed", sa.Boolean(), server_default=sa.false(), nullable=False, comment=comment)


def _hours(comment: str) -> sa.Column[bytes]:
    return sa.Column("hours", sa.LargeBinary(), nullable=True, comment=comment)


def _counts() -> sa.Column[bytes]:
    comment = "packed: produced, stored, shed and gap, 24 hours each"
    return sa.Column("counts", sa.LargeBinary(), nullable=False, comment=comment)


def _day() -> sa.Column[int]:
    return sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="days since 1970, UTC")


def _create_journal() -> None:
    op.create_table(
        "claims",
        _id("id"),
        _id("account_id"),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="the hub's clock"),
        sa.Column(
            "stated_by", sa.LargeBinary(), nullable=True, comment="the incarnation that said it; NULL for the hub"
        ),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the statement"),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.LargeBinary(), nullable=False, comment="packed ranges"),
        sa.Column("oldest_us", sa.BigInteger(), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        _hours("packed counts by hour, of the hours that it told; NULL for none"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_claims_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        comment="What sites said of their streams, whenever it was something new.",
    )
    op.create_index(op.f("ix_claims_account_id_id"), "claims", ["account_id", "id"], unique=False)
    op.create_table(
        "silences",
        _id("site_id"),
        sa.Column("since_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_silences_site_id")),
        sa.PrimaryKeyConstraint("site_id", "since_us", name=op.f("pk_silences")),
        comment="From when to when nothing was heard of a site, if it was long.",
    )


def _create_days() -> None:
    op.create_table(
        "account_days",
        _id("account_id"),
        _day(),
        _counts(),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_days_account_id")),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_account_days")),
        comment="The records of an account by the hour of their event time.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "site_days",
        _day(),
        _id("site_id"),
        sa.Column(
            "states", sa.LargeBinary(), nullable=False, comment="24 bytes: the worst of its streams in each hour"
        ),
        sa.Column("produced", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        _counts(),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_site_days_site_id")),
        sa.PrimaryKeyConstraint("day", "site_id", name=op.f("pk_site_days")),
        comment="The same for all streams of a site together: what the overview of the fleet reads.",
        sqlite_with_rowid=False,
    )
