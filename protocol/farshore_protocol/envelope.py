"""What every message that travels whole begins with: three letters that say what it is, and its format's version."""

from __future__ import annotations

from typing import Final

from farshore_protocol.errors import Malformed, OverLimit, Unsupported

_HEAD_BYTES: Final = 4


def body_of(raw: bytes, magic: bytes, version: int, *, what: str, max_bytes: int) -> bytes:
    """What follows the head.

    Raises:
        OverLimit: longer than `max_bytes`.
        Malformed: it is something else.
        Unsupported: of another version.
    """
    if len(raw) > max_bytes:
        raise OverLimit(f"a {what} has {len(raw)} bytes, the bound is {max_bytes}")
    if len(raw) < _HEAD_BYTES or raw[:3] != magic:
        raise Malformed(f"this is not a Farshore {what}")
    if raw[3] != version:
        raise Unsupported(f"{what} format {raw[3]} is not known here, only {version}: upgrade this side")
    return raw[_HEAD_BYTES:]
