"""Where a site has come to in a table, as bytes that only the hub reads. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

SCOPE_BYTES: Final = 8


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a site has come to.

    Attributes:
        epoch: the start of the hub that gave it out.
        scope: which rows the site was told of.
        version: of the last row.
        began: of the table when this reading began: what went before it was never told, and need not be taken back.
    """

    epoch: bytes
    scope: bytes
    version: int
    began: int


class Epoch(msgspec.Struct, frozen=True):
    """A start of the hub; the table's version was `since`."""

    name: bytes
    since: int


_DECODER: Final = msgspec.msgpack.Decoder(Cursor)


def pack(cursor: Cursor) -> bytes:
    """As bytes."""
    return msgspec.msgpack.encode(cursor)


def scope_name(filter_text: str, scope: str) -> bytes:
    """A name for what a site may see: another filter, or another label, makes another name."""
    return hashlib.blake2b(f"{filter_text}\0{scope}".encode(), digest_size=SCOPE_BYTES).digest()


def resumed(raw: bytes, scope: bytes, epochs: Sequence[Epoch], version: int, floor: int = 0) -> Cursor | None:
    """The cursor, if this hub can go on from it; None if the site has to read anew.

    A hub that was restored from a backup gives out versions once more that sites have seen for other rows. But it does
    not know the starts that came after the backup, and the start that was running then has ended, for it, with the
    backup: so a cursor counts only if its start is known and had come so far. Nor can a site go on that has missed
    deletes which are forgotten, unless its reading began after them.

    Args:
        raw: as the site sent it; anything.
        scope: what the site may see now.
        epochs: in their order.
        version: of the table now.
        floor: tombstones up to this version may be gone.
    """
    try:
        cursor = _DECODER.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    ends = [*(each.since for each in epochs[1:]), version]
    end = next((end for each, end in zip(epochs, ends, strict=False) if each.name == cursor.epoch), -1)
    is_ours = cursor.scope == scope and 0 <= cursor.version <= end and cursor.began >= 0
    is_told = max(cursor.version, cursor.began) >= floor
    return cursor if is_ours and is_told else None
