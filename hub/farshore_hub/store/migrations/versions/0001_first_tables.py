"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first version."""
    op.create_table(
        "api_tokens",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False, comment="viewer, operator or admin"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
        comment="What people and scripts sign in with, kept as its SHA-256.",
    )
    op.create_table(
        "hub_meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_hub_meta")),
        comment="Facts about the hub itself, and leases.",
    )
    op.create_table(
        "lake_columns",
        sa.Column("stream", sa.String(length=127), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "field", "type", name=op.f("pk_lake_columns")),
        comment="Which column of a stream's table holds which field, by type.",
    )
    op.create_table(
        "lake_commits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("stream", sa.String(length=127), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False, comment="pending, done or forgotten"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lake_commits")),
    )
    op.create_index(op.f("ix_lake_commits_state"), "lake_commits", ["state"], unique=False)
    op.create_table(
        "sites",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="pending, active or revoked"),
        sa.Column(
            "signing_key", sa.LargeBinary(), nullable=True, comment="Ed25519 public key, once the site is enrolled"
        ),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("last_seen_us", sa.BigInteger(), nullable=True),
        sa.Column("clock_offset_us", sa.BigInteger(), nullable=True, comment="the site's clock minus the hub's"),
        sa.Column("agent_version", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("name", name=op.f("uq_sites_name")),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incarnation", sa.LargeBinary(), nullable=False),
        sa.Column("stream", sa.String(length=127), nullable=False),
        sa.Column("head", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.LargeBinary(), nullable=False, comment="packed ranges: at the edge, as last stated"),
        sa.Column("oldest_us", sa.BigInteger(), nullable=True, comment="event time of the oldest that is held"),
        sa.Column("closed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("stated_by", sa.LargeBinary(), nullable=True, comment="the incarnation whose claim was applied last"),
        sa.Column("statement_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("stated_us", sa.BigInteger(), nullable=True, comment="the hub's clock at the last claim"),
        sa.Column("stored_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "receipted_count", sa.BigInteger(), server_default="0", nullable=False, comment="receipted and not stored"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_accounts_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("site_id", "incarnation", "stream", name=op.f("uq_accounts_site_id_incarnation_stream")),
        comment="What the hub has of one stream of one site in one incarnation.",
    )
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(length=40), nullable=False, comment="lower-case hex"),
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issued_us", sa.BigInteger(), nullable=False),
        sa.Column("not_after_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_certificates_site_id")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_table(
        "dictionaries",
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("dictionary", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="the sealed batch of kind DICTIONARY"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_dictionaries_site_id")),
        sa.PrimaryKeyConstraint("site_id", "dictionary", name=op.f("pk_dictionaries")),
    )
    op.create_table(
        "join_tokens",
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_join_tokens_site_id")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_join_tokens")),
        comment="One-use secrets, kept as their SHA-256.",
    )
    op.create_table(
        "key_epochs",
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False, comment="the packed, still sealed KeyEpoch"),
        sa.Column("signed_by", sa.LargeBinary(), nullable=False, comment="the site's signing key when it was stored"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_key_epochs_site_id")),
        sa.PrimaryKeyConstraint("site_id", "epoch", name=op.f("pk_key_epochs")),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False, comment="of the opened body"),
        sa.Column(
            "take", sa.LargeBinary(), nullable=True, comment="packed ranges of what is stored from it; NULL is all"
        ),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("lake_commit", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("quarantined", sa.Text(), nullable=True, comment="why its records could not be decoded"),
        sa.Column("raw", sa.LargeBinary(), nullable=True, comment="the sealed batch; NULL once it was forgotten"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_batches_account_id")),
        sa.ForeignKeyConstraint(["lake_commit"], ["lake_commits.id"], name=op.f("fk_batches_lake_commit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_account_id_first"), "batches", ["account_id", "first"], unique=False)
    op.create_index(op.f("ix_batches_lake_commit"), "batches", ["lake_commit"], unique=False)
    op.create_table(
        "forks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_forks_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forks")),
        sa.UniqueConstraint("account_id", "digest", name=op.f("uq_forks_account_id_digest")),
        comment="Batches whose range was stored already with other content; kept aside.",
    )
    op.create_table(
        "intervals",
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("kind", sa.String(length=12), nullable=False, comment="stored, receipted or wanted"),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_intervals_account_id")),
        sa.PrimaryKeyConstraint("account_id", "kind", "first", name=op.f("pk_intervals")),
        comment="The range sets of an account: disjoint, and ranges that touch are joined.",
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="the site's clock"),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("summary_stream", sa.String(length=127), nullable=True),
        sa.Column("summary_first", sa.BigInteger(), nullable=True),
        sa.Column("summary_last", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_receipts_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint(
            "account_id", "first", "last", "reason", name=op.f("uq_receipts_account_id_first_last_reason")
        ),
    )
