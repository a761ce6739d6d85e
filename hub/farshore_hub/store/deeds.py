"""SQL of who did what: with the fleet's configuration, rollouts, commands, labels and secrets."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from farshore_hub.store.schema import order_events

MAX_NAME_CHARS = 63


@dataclass(frozen=True, slots=True)
class DeedRow:
    """Something that was done. `said_by` is empty for what the hub did by itself."""

    at_us: int
    said_by: str
    subject: str
    deed: str
    text: str


def note(connection: Connection, deed: DeedRow) -> None:
    """Write down what was done."""
    connection.execute(
        insert(order_events).values(
            at_us=deed.at_us,
            said_by=deed.said_by[:MAX_NAME_CHARS],
            subject=deed.subject[:127],
            deed=deed.deed[:32],
            text=deed.text.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        )
    )


def deeds(connection: Connection, subject: str | None, limit: int) -> list[DeedRow]:
    """The newest deeds, of that subject or of all."""
    c = order_events.c
    query = select(c.at_us, c.said_by, c.subject, c.deed, c.text).order_by(c.id.desc()).limit(limit)
    rows = connection.execute(query if subject is None else query.where(c.subject == subject))
    return [DeedRow(*row) for row in rows]
