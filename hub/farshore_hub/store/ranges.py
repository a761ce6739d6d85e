"""Range sets as a column's bytes: MessagePack of the wire form."""

from __future__ import annotations

import msgspec

from farshore_protocol.ranges import EMPTY, RangeSet


def pack_ranges(ranges: RangeSet) -> bytes:
    """A range set for a column."""
    return msgspec.msgpack.encode(ranges.to_wire())


def unpack_ranges(packed: bytes) -> RangeSet:
    """A range set from a column."""
    flat = msgspec.msgpack.decode(packed, type=list[int])
    return RangeSet(tuple(zip(flat[::2], flat[1::2], strict=True))) if flat else EMPTY
