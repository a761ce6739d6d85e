"""Range sets, and counts by the hour, as a column's bytes: MessagePack of the wire form."""

from __future__ import annotations

import msgspec

from farshore_protocol.hours import Hours, to_wire
from farshore_protocol.ranges import EMPTY, RangeSet


def pack_ranges(ranges: RangeSet) -> bytes:
    """A range set for a column."""
    return msgspec.msgpack.encode(ranges.to_wire())


def unpack_ranges(packed: bytes) -> RangeSet:
    """A range set from a column."""
    flat = msgspec.msgpack.decode(packed, type=list[int])
    return RangeSet(tuple(zip(flat[::2], flat[1::2], strict=True))) if flat else EMPTY


def pack_hours(hours: Hours | None) -> bytes | None:
    """Counts by the hour for a column; NULL where they are not known."""
    return msgspec.msgpack.encode(to_wire(hours)) if hours else None


def unpack_hours(packed: bytes | None) -> dict[int, int]:
    """Counts by the hour from a column; empty where they are not known."""
    flat = msgspec.msgpack.decode(packed, type=list[int]) if packed else []
    return dict(zip(flat[::2], flat[1::2], strict=True))
