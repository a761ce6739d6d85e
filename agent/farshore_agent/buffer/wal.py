"""Reading the write-ahead log before SQLite does: SQLite silently drops a damaged frame and every commit after it.

A frame that fails its check is a torn tail if no later transaction follows, because each one is synced before the next
begins. If two commits follow, they were durable: the bytes have rotted since. Then the log is mended: frames get
checksums that match again, so that only the damaged page is damaged, and the checks of chunks and batches find it.

Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
LITTLE_ENDIAN_MAGIC: Final = 0x377F0682
BIG_ENDIAN_MAGIC: Final = 0x377F0683
PAGE_SIZES: Final = tuple(512 << power for power in range(8))
DURABLE_COMMITS: Final = 2
"""A damaged frame followed by this many commits belongs to one that was synced."""

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in the log."""

    offset: int
    is_commit: bool
    is_intact: bool


def mend(path: Path) -> str:
    """Repair the log of the database at `path`, if bytes in its middle have rotted; what was found, or nothing.

    The log as it was is kept beside it.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists():
        return ""
    raw = log.read_bytes()
    frames = list(read_frames(raw))
    damaged = [at for at, frame in enumerate(frames) if not frame.is_intact]
    last = _last_durable(frames)
    rotten = [at for at in damaged if at < last]
    if not rotten:
        return ""
    log.with_name(log.name + ".damaged").write_bytes(raw)
    mended = log.with_name(log.name + ".mended")
    with mended.open("wb") as file:
        file.write(with_fresh_checksums(raw, frames[: last + 1]))
        file.flush()
        os.fsync(file.fileno())
    mended.replace(log)
    return f"{len(rotten)} of {len(frames)} frames of the write-ahead log had rotted; the log was mended"


def read_frames(raw: bytes) -> Iterator[Frame]:
    """The frames of the log's present generation, each checked against the one before it."""
    order, page_bytes, salts = _header(raw)
    if not page_bytes:
        return
    sums: Sums = struct.unpack(">II", raw[24:32])
    for offset in range(HEADER_BYTES, len(raw) - FRAME_HEADER_BYTES - page_bytes + 1, FRAME_HEADER_BYTES + page_bytes):
        head = raw[offset : offset + FRAME_HEADER_BYTES]
        if head[8:16] != salts:
            return
        page = raw[offset + FRAME_HEADER_BYTES : offset + FRAME_HEADER_BYTES + page_bytes]
        stated: Sums = struct.unpack(">II", head[16:24])
        is_intact = checksum(page, checksum(head[:8], sums, order), order) == stated
        yield Frame(offset, head[4:8] != b"\0\0\0\0", is_intact)
        # Each frame is judged by itself: from what the one before says of itself.
        sums = stated


def _header(raw: bytes) -> tuple[str, int, bytes]:
    """Byte order of the checksums, size of a page (0 if this is no log) and the generation's salts."""
    if len(raw) < HEADER_BYTES:
        return "<", 0, b""
    magic, _, page_bytes = struct.unpack(">III", raw[:12])
    order = {LITTLE_ENDIAN_MAGIC: "<", BIG_ENDIAN_MAGIC: ">"}.get(magic)
    if order is None or page_bytes not in PAGE_SIZES:
        return "<", 0, b""
    is_intact = checksum(raw[:24], (0, 0), order) == struct.unpack(">II", raw[24:32])
    return order, page_bytes if is_intact else 0, raw[16:24]


def _last_durable(frames: list[Frame]) -> int:
    """The index of the last commit that is intact, if a commit before it came after the damage; else -1."""
    first_damaged = next((at for at, frame in enumerate(frames) if not frame.is_intact), len(frames))
    commits = [at for at, frame in enumerate(frames) if frame.is_commit and frame.is_intact and at > first_damaged]
    return commits[-1] if len(commits) >= DURABLE_COMMITS else -1


def with_fresh_checksums(raw: bytes, frames: list[Frame]) -> bytes:
    """The log up to the last of `frames`, with checksums that follow from one another."""
    order, page_bytes, _ = _header(raw)
    sums: Sums = struct.unpack(">II", raw[24:32])
    out = bytearray(raw[:HEADER_BYTES])
    for frame in frames:
        head = raw[frame.offset : frame.offset + 16]
        page = raw[frame.offset + FRAME_HEADER_BYTES : frame.offset + FRAME_HEADER_BYTES + page_bytes]
        sums = checksum(page, checksum(head[:8], sums, order), order)
        out += head + struct.pack(">II", *sums) + page
    return bytes(out)


def checksum(raw: bytes, sums: Sums, order: str) -> Sums:
    """SQLite's running checksum over pairs of 32-bit words."""
    first, second = sums
    words = struct.unpack(f"{order}{len(raw) // 4}I", raw)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
