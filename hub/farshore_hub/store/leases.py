"""Leases among the processes of one hub, as rows of `hub_meta`: a duty that only one of them has at a time."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select, update

from farshore_hub.store.dialect import insert_missing, locked
from farshore_hub.store.schema import hub_meta


class _Lease(msgspec.Struct, array_like=True):
    holder: bytes
    until_us: int


def take_lease(connection: Connection, duty: str, holder: bytes, now_us: int, life_us: int) -> bool:
    """Take a lease or keep it; False while somebody else has it. What was taken is held for `life_us`."""
    key = f"lease {duty}"
    insert_missing(connection, hub_meta, [{"key": key, "value": _packed(b"", 0)}])
    held = connection.execute(locked(connection, select(hub_meta.c.value).where(hub_meta.c.key == key))).scalar_one()
    lease = msgspec.msgpack.decode(bytes(held), type=_Lease)
    # A lease that ends later than any could was written before the clock was set back.
    is_free = lease.holder == holder or not now_us < lease.until_us <= now_us + life_us
    if is_free:
        connection.execute(
            update(hub_meta).where(hub_meta.c.key == key).values(value=_packed(holder, now_us + life_us))
        )
    return is_free


def give_lease_back(connection: Connection, duty: str, holder: bytes) -> None:
    """Let another process have the duty at once; harmless without the lease."""
    key = f"lease {duty}"
    held = connection.execute(select(hub_meta.c.value).where(hub_meta.c.key == key)).scalar_one_or_none()
    if held is not None and msgspec.msgpack.decode(bytes(held), type=_Lease).holder == holder:
        connection.execute(update(hub_meta).where(hub_meta.c.key == key).values(value=_packed(b"", 0)))


def _packed(holder: bytes, until_us: int) -> bytes:
    return msgspec.msgpack.encode(_Lease(holder, until_us))
