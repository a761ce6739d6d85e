"""SQL of the outbox of alerts: messages that wait until their channel has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from farshore_hub.store.schema import messages


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is to be told; `key` is the same at every attempt. Times in microseconds since 1970."""

    id: int
    channel: str
    key: str
    body: str
    made_us: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a channel's messages stand."""

    channel: str
    waiting: int
    oldest_us: int | None
    fault: str


_WAITS: Final = messages.c.ended_us.is_(None)
_OWN: Final = tuple(messages.c[name] for name in Message.__dataclass_fields__)


def put(connection: Connection, rows: Sequence[tuple[str, str, str]], now_us: int) -> None:
    """Put messages (channel, key, body) into the outbox."""
    if rows:
        made = {"made_us": now_us, "next_us": now_us}
        connection.execute(
            insert(messages), [{"channel": each, "key": key, "body": body, **made} for each, key, body in rows]
        )


def due(connection: Connection, channel: str, now_us: int, limit: int) -> list[Message]:
    """What a channel is to be told now: the oldest that wait, in order, up to the first whose time has not come."""
    query = select(*_OWN, messages.c.next_us).where(_WAITS, messages.c.channel == channel)
    rows = connection.execute(query.order_by(messages.c.id).limit(limit))
    return [Message(*row[:-1]) for row in takewhile(lambda row: row.next_us <= now_us, rows)]


def delivered(connection: Connection, message_id: int, now_us: int) -> None:
    """Note that a channel has a message."""
    values = {"ended_us": now_us, "delivered": True, "attempts": messages.c.attempts + 1, "fault": ""}
    connection.execute(update(messages).where(messages.c.id == message_id).values(values))


def failed(connection: Connection, message_id: int, fault: str, next_us: int) -> None:
    """Note why an attempt failed and when the next one is due."""
    values = {"next_us": next_us, "attempts": messages.c.attempts + 1, "fault": fault}
    connection.execute(update(messages).where(messages.c.id == message_id).values(values))


def end_one(connection: Connection, message_id: int, fault: str, now_us: int) -> None:
    """Note that a channel will not have a message."""
    values = {"ended_us": now_us, "delivered": False, "attempts": messages.c.attempts + 1, "fault": fault}
    connection.execute(update(messages).where(messages.c.id == message_id).values(values))


def give_up(connection: Connection, made_before_us: int, now_us: int) -> int:
    """End what nobody took for too long; how many messages that were."""
    old = update(messages).where(_WAITS, messages.c.made_us < made_before_us)
    return connection.execute(old.values(ended_us=now_us, delivered=False)).rowcount


def forget_ended(connection: Connection, before_us: int) -> None:
    """Forget messages that ended before that time."""
    connection.execute(delete(messages).where(messages.c.ended_us < before_us))


def waiting(connection: Connection) -> list[Waiting]:
    """How the channels stand that have messages waiting."""
    columns = (messages.c.channel, func.count(), func.min(messages.c.made_us), func.max(messages.c.fault))
    rows = connection.execute(select(*columns).where(_WAITS).group_by(messages.c.channel))
    return [Waiting(*row) for row in rows]


def ended_counts(connection: Connection) -> dict[tuple[str, bool], int]:
    """How many messages ended, by channel and whether they were delivered; of those that are not forgotten."""
    columns = (messages.c.channel, messages.c.delivered, func.count())
    query = select(*columns).where(messages.c.ended_us.is_not(None)).group_by(*columns[:2])
    return {(channel, bool(was)): count for channel, was, count in connection.execute(query)}
