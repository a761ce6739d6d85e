"""SQL of the page's sessions. They are rows of `hub_meta`, so that all processes of a hub know them.

A session's key is the hash of its secret; its value is the hash of the token that it was opened with, and its end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from farshore_hub.store.schema import hub_meta

_PREFIX: Final = "session."
_VALUE: Final = struct.Struct(">q32s")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """An open session.

    Attributes:
        key: what it is found by.
        token_hash: of the API token that it was opened with.
        expires_us: microseconds since 1970.
    """

    key: str
    token_hash: bytes
    expires_us: int


def insert_session(connection: Connection, secret_hash: bytes, token_hash: bytes, expires_us: int) -> None:
    """Keep a new session."""
    value = _VALUE.pack(expires_us, token_hash)
    connection.execute(insert(hub_meta).values(key=_key(secret_hash), value=value))


def find_session(connection: Connection, secret_hash: bytes) -> SessionRow | None:
    """The session with that hash, whether it has expired or not."""
    row = connection.execute(select(hub_meta).where(hub_meta.c.key == _key(secret_hash))).one_or_none()
    return _session(row.key, row.value) if row else None


def all_sessions(connection: Connection) -> list[SessionRow]:
    """Every session that was not ended, the one that expires first at the front."""
    rows = connection.execute(select(hub_meta).where(hub_meta.c.key.startswith(_PREFIX, autoescape=True)))
    return sorted((_session(row.key, row.value) for row in rows), key=lambda each: each.expires_us)


def delete_session(connection: Connection, secret_hash: bytes) -> None:
    """End a session; harmless where there is none."""
    connection.execute(delete(hub_meta).where(hub_meta.c.key == _key(secret_hash)))


def delete_sessions(connection: Connection, sessions: list[SessionRow]) -> None:
    """End these sessions."""
    if sessions:
        connection.execute(delete(hub_meta).where(hub_meta.c.key.in_([each.key for each in sessions])))


def _key(secret_hash: bytes) -> str:
    # 28 bytes of the hash fill the column, and are more than enough.
    return _PREFIX + secret_hash.hex()[:56]


def _session(key: str, value: bytes) -> SessionRow:
    expires_us, token_hash = _VALUE.unpack(bytes(value))
    return SessionRow(key, token_hash, expires_us)
