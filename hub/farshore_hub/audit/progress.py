"""What is kept of audits: when the next one is due, how far the present one is, what the last one found."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from farshore_hub.audit.differences import AuditReport
from farshore_hub.audit.round import Position
from farshore_hub.store.dialect import upsert
from farshore_hub.store.schema import hub_meta

_KEY: Final = "audit"


class Kept(msgspec.Struct, frozen=True):
    """One audit.

    Attributes:
        started_us, ended_us: by the hub's clock; it lasts while it has not ended.
        position: how far it is.
        read_bytes: of sealed batches and of files.
        report: what it has found.
    """

    started_us: int
    report: AuditReport
    position: Position = Position()
    read_bytes: int = 0
    ended_us: int | None = None


class AuditState(msgspec.Struct, frozen=True):
    """What is known of the hub's audits.

    Attributes:
        next_us: when the next one is due.
        present: the one that is not finished.
        last: the last one that was.
    """

    next_us: int | None = None
    present: Kept | None = None
    last: Kept | None = None


def load(connection: Connection) -> AuditState:
    """What is kept; nothing before the first audit."""
    raw = connection.scalar(select(hub_meta.c.value).where(hub_meta.c.key == _KEY))
    return AuditState() if raw is None else msgspec.msgpack.decode(bytes(raw), type=AuditState)


def save(connection: Connection, state: AuditState) -> None:
    """Keep it."""
    upsert(connection, hub_meta, [{"key": _KEY, "value": msgspec.msgpack.encode(state)}], ["value"])
