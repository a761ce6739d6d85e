"""How far a file was read, and how to tell that it still is the same file.

A file is known by its content: its first bytes, and the bytes just before the place that was reached. So a file that
was renamed, copied or replaced by a longer version of itself is read on; another file under the same name is not.
Device and inode numbers tell less: they are reused, and change with a restart or a copy.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, BinaryIO, Final

import msgspec

from farshore_protocol.limits import MAX_SEQUENCE

PROBE_BYTES: Final = 4096
_DIGEST_BYTES: Final = 16


Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The checkpoint of one file.

    Attributes:
        offset: bytes of content that are dealt with.
        line: lines that are dealt with.
        header: of a CSV file.
        skipping: the offset lies in a line that is too long and was refused.
        inode: tells files apart that begin alike.
        head, head_bytes: digest of the first bytes of the file, up to the offset.
        tail, tail_bytes: digest of the bytes before the offset.
    """

    offset: Count = 0
    line: int = 0
    header: tuple[str, ...] | None = None
    skipping: bool = False
    inode: int = 0
    head: bytes = b""
    head_bytes: Count = 0
    tail: bytes = b""
    tail_bytes: Count = 0

    def pack(self) -> bytes:
        """The checkpoint's value."""
        return msgspec.msgpack.encode(self)

    def fits(self, file: BinaryIO) -> bool:
        """Whether `file` has the content that was read; leaves it anywhere."""
        file.seek(0)
        if _digest(file.read(self.head_bytes)) != self.head and self.offset:
            return False
        file.seek(max(0, self.offset - self.tail_bytes))
        tail = file.read(self.tail_bytes)
        return not self.offset or (len(tail) == self.tail_bytes and _digest(tail) == self.tail)


def unpack(value: bytes | None) -> Mark:
    """A stored mark; the start of a file if there is none, or none that this version can read."""
    if not value:
        return Mark()
    try:
        return msgspec.msgpack.decode(value, type=Mark)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Mark()


class Progress:
    """Follows the reading of one file and makes its marks."""

    def __init__(self, file: BinaryIO, mark: Mark, inode: int) -> None:
        self._inode = inode
        file.seek(0)
        self._head = file.read(min(PROBE_BYTES, mark.offset))
        file.seek(mark.offset - min(PROBE_BYTES, mark.offset))
        self._tail = file.read(min(PROBE_BYTES, mark.offset))
        self.mark = mark

    def advance(self, content: bytes, *, line: int, header: tuple[str, ...] | None, skipping: bool) -> Mark:
        """`content` is dealt with; returns the mark behind it."""
        self._head = (self._head + content[:PROBE_BYTES])[:PROBE_BYTES]
        self._tail = (self._tail + content[-PROBE_BYTES:])[-PROBE_BYTES:]
        self.mark = Mark(
            offset=self.mark.offset + len(content),
            line=line,
            header=header,
            skipping=skipping,
            inode=self._inode,
            head=_digest(self._head),
            head_bytes=len(self._head),
            tail=_digest(self._tail),
            tail_bytes=len(self._tail),
        )
        return self.mark


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
