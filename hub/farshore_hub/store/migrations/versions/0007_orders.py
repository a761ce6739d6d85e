"""Orders to sites and their reports; labels, layers and secrets that settings are rendered from; rollouts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; no site has introduced itself yet."""
    _alter_sites()
    _create_orders()
    _create_config()
    _create_rollouts()


def _alter_sites() -> None:
    op.add_column(
        "sites",
        sa.Column(
            "heard", sa.BigInteger(), server_default="0", nullable=False, comment="its newest report; 0: who is it?"
        ),
    )
    op.add_column(
        "sites",
        sa.Column(
            "has_orders", sa.Boolean(), server_default=sa.false(), nullable=False, comment="that it has not reported on"
        ),
    )
    op.create_table(
        "site_labels",
        sa.Column("site_id", _ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_site_labels_site_id")),
        sa.PrimaryKeyConstraint("site_id", "key", name=op.f("pk_site_labels")),
        comment="What an operator says of sites: groups of the fleet are chosen by it.",
    )
    op.create_table(
        "site_reports",
        sa.Column("site_id", _ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="the site's clock"),
        sa.Column("received_us", sa.BigInteger(), nullable=False, comment="the hub's clock"),
        sa.Column("agent_version", sa.String(length=500), nullable=False),
        sa.Column(
            "running",
            sa.BigInteger(),
            nullable=True,
            comment="number of the order whose settings are in force; 0: the site's own file",
        ),
        sa.Column(
            "latest", sa.BigInteger(), nullable=True, comment="number of the newest settings that came to the site"
        ),
        sa.Column("outcome", sa.String(length=16), nullable=True, comment="what became of those"),
        sa.Column("problems", sa.Text(), nullable=False, comment="why, as a JSON list"),
        sa.Column(
            "command", sa.BigInteger(), nullable=True, comment="number of the newest command that came to the site"
        ),
        sa.Column("schema", sa.LargeBinary(), nullable=False, comment="which schema its settings have: a digest"),
        sa.Column(
            "introduced",
            sa.LargeBinary(),
            nullable=True,
            comment="the digest of the schema that it introduced itself with",
        ),
        sa.Column(
            "settings_schema",
            sa.LargeBinary(),
            nullable=True,
            comment="that schema: JSON Schema, compressed with zstandard",
        ),
        sa.Column(
            "sealing_key",
            sa.LargeBinary(),
            nullable=True,
            comment="what its orders are sealed to, packed; NULL: not introduced",
        ),
        sa.Column(
            "accepts",
            sa.Text(),
            server_default="[]",
            nullable=False,
            comment="what it lets the hub change, as a JSON list",
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_site_reports_site_id")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_site_reports")),
        comment="The newest report of each site on its orders.",
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("site_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False, comment="settings or command"),
        sa.Column(
            "state", sa.String(length=8), nullable=False, comment="waiting for its turn, open, probing or settled"
        ),
        sa.Column("number", sa.BigInteger(), nullable=True, comment="given when it is its turn"),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=63), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "raw",
            sa.LargeBinary(),
            nullable=True,
            comment="sealed to the site; NULL while it waits and when it is settled",
        ),
        sa.Column("sealed_to", sa.LargeBinary(), nullable=True, comment="name of the site's key"),
        sa.Column("published_us", sa.BigInteger(), nullable=True, comment="when the broker took it"),
        sa.Column("revision", sa.Integer(), nullable=True, comment="of settings: what they were rendered from"),
        sa.Column("rollout_id", _ID, nullable=True, comment="of settings: what they are part of"),
        sa.Column("document", sa.LargeBinary(), nullable=True, comment="of settings: digest of what they say"),
        sa.Column("command", sa.String(length=64), nullable=True),
        sa.Column("arguments", sa.Text(), nullable=True, comment="of a command, as a JSON object"),
        sa.Column("settled_us", sa.BigInteger(), nullable=True),
        sa.Column(
            "outcome",
            sa.String(length=16),
            nullable=True,
            comment="kept, refused, rolled-back, replaced; done, failed, expired, lost",
        ),
        sa.Column("text", sa.Text(), server_default="", nullable=False, comment="what the site said of it"),
        sa.Column("data", sa.LargeBinary(), nullable=True, comment="what a command asked for"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_orders_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        comment="What sites were told to do, and what became of it.",
    )
    op.create_index(op.f("ix_orders_rollout_id"), "orders", ["rollout_id"], unique=False)
    op.create_index(op.f("ix_orders_site_id_kind_id"), "orders", ["site_id", "kind", "id"], unique=False)
    op.create_index(
        "ix_orders_unpublished",
        "orders",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'open' AND published_us IS NULL"),
        postgresql_where=sa.text("state = 'open' AND published_us IS NULL"),
    )
    op.create_index(
        "ix_orders_unsettled",
        "orders",
        ["site_id"],
        unique=False,
        sqlite_where=sa.text("state <> 'settled'"),
        postgresql_where=sa.text("state <> 'settled'"),
    )
    op.create_index(
        "uq_orders_open",
        "orders",
        ["site_id", "kind"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "order_events",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("said_by", sa.String(length=63), nullable=False, comment="a person; empty: the hub"),
        sa.Column(
            "subject", sa.String(length=127), nullable=False, comment="as in 'rollout 3', 'site ship-1', 'secret MQTT'"
        ),
        sa.Column("deed", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
        comment="Who did what with the fleet's configuration, rollouts, commands, labels and secrets.",
    )
    op.create_index(op.f("ix_order_events_subject"), "order_events", ["subject"], unique=False)


def _create_config() -> None:
    op.create_table(
        "config_revisions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=63), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False, comment="the layers: a JSON object of path to text"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_config_revisions")),
        comment="Every state that the fleet's configuration was given.",
    )
    op.create_table(
        "config_secrets",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="counts how often it was set"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="to the hub's own key"),
        sa.Column("sealed_to", sa.LargeBinary(), nullable=False, comment="name of that key"),
        sa.Column("set_us", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_config_secrets")),
        comment="Values that settings name and never show.",
    )


def _create_rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("revision", _ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False, comment="running, paused, halted, aborted or done"),
        sa.Column("strategy", sa.Text(), nullable=False, comment="stages, soak and what halts it, as JSON"),
        sa.Column("stage", sa.Integer(), nullable=False, comment="from 0"),
        sa.Column("stage_us", sa.BigInteger(), nullable=False, comment="when this stage began"),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=63), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False, comment="what it waits for, or why it has stopped"),
        sa.ForeignKeyConstraint(["revision"], ["config_revisions.id"], name=op.f("fk_rollouts_revision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
        comment="How revisions come to the sites, stage by stage.",
    )
    op.create_index(op.f("ix_rollouts_state"), "rollouts", ["state"], unique=False)
    op.create_table(
        "rollout_sites",
        sa.Column("rollout_id", _ID, autoincrement=False, nullable=False),
        sa.Column("site_id", _ID, autoincrement=False, nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False, comment="in which it takes part"),
        sa.Column("state", sa.String(length=8), nullable=False, comment="waiting, ordered, same or invalid"),
        sa.Column("problems", sa.Text(), nullable=False, comment="why its settings cannot be rendered, as a JSON list"),
        sa.Column("gaps", sa.BigInteger(), nullable=False, comment="records that were missing when it was ordered"),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.id"], name=op.f("fk_rollout_sites_rollout_id")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_rollout_sites_site_id")),
        sa.PrimaryKeyConstraint("rollout_id", "site_id", name=op.f("pk_rollout_sites")),
        comment="Which sites take part in a rollout, and when.",
    )
    op.create_index(op.f("ix_rollout_sites_site_id"), "rollout_sites", ["site_id"], unique=False)
    op.create_index(
        "ix_rollout_sites_waiting",
        "rollout_sites",
        ["rollout_id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
