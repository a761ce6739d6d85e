"""Alerts, their outbox, what people declare, and what objectives made of each hour."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables of the watch, and what it looks things up by."""
    op.create_index(op.f("ix_receipts_received_us"), "receipts", ["received_us"], unique=False)
    op.create_index(op.f("ix_forks_received_us"), "forks", ["received_us"], unique=False)
    _create_alerts()
    _create_messages()
    _create_declared()
    _create_promises()


def _id(name: str = "id") -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=name == "id", nullable=False)


def _text(name: str, length: int, comment: str | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable, comment=comment)


def _time(name: str, comment: str | None = None, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def _long_text(name: str, **more: Any) -> sa.Column[str]:  # noqa: ANN401 - a column's own arguments
    return sa.Column(name, sa.Text(), nullable=False, **more)


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        _id(),
        _text("kind", 16),
        _text("site", 63, "empty: of the hub itself"),
        _text("stream", 127, "empty: of the whole site"),
        _text("facet", 127, "which of several: a reason, an objective, a folder"),
        _text("severity", 16),
        _text("phase", 16, "rising, raised, falling, or quiet once it is over"),
        _time("since_us", "since when it is in this phase", nullable=False),
        _text("mark", 255, "what was bad"),
        sa.Column("value", sa.Double(), nullable=False, comment="as it was when it was raised"),
        _long_text("text"),
        _time("raised_us"),
        _time("told_us", "when it was handed to the channels; NULL while it is kept quiet"),
        _time("acknowledged_us"),
        _text("acknowledged_by", 63, nullable=True),
        _time("cleared_us"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        comment="Every alert that was raised, and what is about to be.",
    )
    op.create_index(op.f("ix_alerts_cleared_us"), "alerts", ["cleared_us"], unique=False)
    op.create_table(
        "alert_events",
        _id(),
        _id("alert_id"),
        _time("at_us", nullable=False),
        _text("change", 16, "raised, acknowledged or cleared"),
        _text("said_by", 63, "a person; empty: the hub"),
        _long_text("text"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_events_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_events")),
        comment="What became of each alert, and when.",
    )
    op.create_index(op.f("ix_alert_events_alert_id"), "alert_events", ["alert_id"], unique=False)


def _create_messages() -> None:
    op.create_table(
        "messages",
        _id(),
        _text("channel", 127),
        _text("key", 40, "the same at every attempt"),
        _long_text("body"),
        _time("made_us", nullable=False),
        _time("next_us", "when it is tried (again)", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("ended_us"),
        sa.Column("delivered", sa.Boolean(), nullable=True),
        _long_text("fault", server_default="", comment="why the last attempt failed"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
        comment="The outbox of alerts: what webhooks and the broker are told, until they have it.",
    )
    op.create_index(op.f("ix_messages_ended_us_channel"), "messages", ["ended_us", "channel"], unique=False)


def _create_declared() -> None:
    op.create_table(
        "alert_silences",
        _id(),
        _text("kind", 16, "empty: every kind"),
        _text("sites", 127, "a pattern"),
        _text("streams", 127, "a pattern"),
        _time("from_us", nullable=False),
        _time("until_us", nullable=False),
        _long_text("reason"),
        _text("made_by", 63),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_silences")),
        comment="Alerts that stand and are not told.",
    )
    op.create_table(
        "maintenances",
        _id(),
        _text("sites", 127, "a pattern"),
        _time("from_us", nullable=False),
        _time("until_us", nullable=False),
        _long_text("reason"),
        _text("made_by", 63),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenances")),
        comment="When sites are worked on, as it was declared.",
    )


def _create_promises() -> None:
    op.create_table(
        "objective_hours",
        _text("objective", 63),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False, comment="of event time, from 1970, UTC"),
        sa.Column("due", sa.BigInteger(), nullable=False, comment="records that had to be stored in time"),
        sa.Column("late", sa.BigInteger(), nullable=False, comment="of them: those that were not"),
        sa.Column(
            "excused",
            sa.BigInteger(),
            nullable=False,
            comment="records of declared maintenance; they count for nothing",
        ),
        _long_text("worst", comment="the sites with most that was late, as JSON"),
        sa.PrimaryKeyConstraint("objective", "hour", name=op.f("pk_objective_hours")),
        comment="What each objective made of each hour of event time, once that was due.",
    )
    op.create_table(
        "source_shares",
        _text("objective", 63),
        _text("site", 63),
        _text("stream", 127),
        sa.Column("expected", sa.Double(), nullable=False),
        sa.Column("produced", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("objective", "site", "stream", name=op.f("pk_source_shares")),
        comment="How much of what is expected each source delivered by itself; older hours count less and less.",
    )
    op.create_table(
        "objective_open",
        _text("objective", 63),
        _text("site", 63),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False, comment="of event time, from 1970, UTC"),
        sa.Column("stored", sa.BigInteger(), nullable=False, comment="records that were stored in time"),
        sa.PrimaryKeyConstraint("objective", "site", "hour", name=op.f("pk_objective_open")),
        comment="Hours that were due while nobody knew what the site had produced in them.",
    )
