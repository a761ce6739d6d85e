"""Reading the write-ahead log before SQLite does: SQLite silently drops a damaged frame and every commit after it.

A frame that fails its check is a torn tail if no later transaction follows, because each one is synced before the next
begins. If two commits follow, they were durable: the bytes have rotted since. Then the log is mended: frames get
checksums that match again, so that only the damaged page is damaged, and the checks of chunks and batches find it.
Where one flipped bit explains the damage, it is set right instead (`flipped`), in the last commit too.

Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from farshore_agent.buffer.flipped import explained
from farshore_agent.buffer.wal_checksum import Sums, checksum

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
LITTLE_ENDIAN_MAGIC: Final = 0x377F0682
BIG_ENDIAN_MAGIC: Final = 0x377F0683
PAGE_SIZES: Final = tuple(512 << power for power in range(8))
PAGE_BYTES: Final = 4096
"""Of the buffer's own files."""

FORMAT_VERSION: Final = 3_007_000
DURABLE_COMMITS: Final = 2
"""A damaged frame followed by this many commits belongs to one that was synced."""


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
    mended, what = look(path)
    if what:
        log = path.with_name(path.name + "-wal")
        log.with_name(log.name + ".damaged").write_bytes(log.read_bytes())
        draft = log.with_name(log.name + ".mended")
        with draft.open("wb") as file:
            file.write(mended)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(log)
    return what


def look(path: Path) -> tuple[bytes, str]:
    """The log of the database at `path` as it would be mended, and what has rotted in it; nothing if all is well."""
    log = path.with_name(path.name + "-wal")
    found = log.read_bytes() if log.exists() else b""
    headed = with_header(found)
    raw, flipped = with_flips_set_right(headed)
    frames = list(read_frames(raw))
    last = _last_durable(frames)
    if last < 0 and headed != found:
        last = _last_commit(frames)
    elif last < 0 and flipped:
        sound = takewhile(lambda frame: frame.is_intact or frame.offset in flipped, frames)
        last = max((at for at, frame in enumerate(sound) if frame.is_commit), default=-1)
    rotten = flipped | {frame.offset for frame in frames[: last + 1] if not frame.is_intact}
    if last < 0 or (not rotten and raw == found):
        return b"", ""
    what = f"{len(rotten)} of {len(frames)} frames" if rotten else "the header"
    mended = with_fresh_checksums(raw, frames[: last + 1])
    return mended, f"{what} of the write-ahead log had rotted; the log was mended"


def with_flips_set_right(raw: bytes) -> tuple[bytes, set[int]]:
    """The log with every frame set right in which it is known which bit has flipped.

    Returns:
        The log, and the offsets of these frames and of those in which it is only known that one has.
    """
    order, page_bytes, salts = _header(raw)
    step = FRAME_HEADER_BYTES + page_bytes
    if not page_bytes or not _may_have_flips(raw, step, salts):
        return raw, set()
    sums: Sums = struct.unpack(">II", raw[24:32])
    out, flipped = bytearray(raw), set()
    for at in range(HEADER_BYTES, len(raw) - step + 1, step):
        found, following = raw[at : at + step], raw[at + step : at + 2 * step]
        is_last = len(following) < step or following[8:16] != salts
        candidates = explained(found, b"" if is_last else following, salts, sums, order)
        if candidates:
            flipped.add(at)
        if len(candidates) == 1:
            out[at : at + step] = candidates[0]
        sums = struct.unpack_from(">II", out, at + 16)
    return bytes(out), flipped


def _may_have_flips(raw: bytes, step: int, salts: bytes) -> bool:
    """Whether a frame does not check, or the one after the last one could be one more whose salts have rotted."""
    frames = list(read_frames(raw))
    end = frames[-1].offset + step if frames else HEADER_BYTES
    beyond = raw[end + 8 : end + 16]
    is_near = (int.from_bytes(beyond, "big") ^ int.from_bytes(salts, "big")).bit_count() == 1
    return is_near or not all(frame.is_intact for frame in frames)


def read_frames(raw: bytes) -> Iterator[Frame]:
    """The frames of the log's present generation, each checked against the one before it."""
    order, page_bytes, salts = _header(raw)
    if not page_bytes:
        return
    sums: Sums = struct.unpack(">II", raw[24:32])
    for offset in _offsets(raw, page_bytes, salts):
        head = raw[offset : offset + FRAME_HEADER_BYTES]
        page = raw[offset + FRAME_HEADER_BYTES : offset + FRAME_HEADER_BYTES + page_bytes]
        stated: Sums = struct.unpack(">II", head[16:24])
        is_intact = head[8:16] == salts and checksum(page, checksum(head[:8], sums, order), order) == stated
        yield Frame(offset, head[4:8] != b"\0\0\0\0", is_intact)
        # Each frame is judged by itself: from what the one before says of itself.
        sums = stated


def _offsets(raw: bytes, page_bytes: int, salts: bytes) -> Iterator[int]:
    """Where the frames of the present generation are: up to the last one that names it."""
    step = FRAME_HEADER_BYTES + page_bytes
    offsets = range(HEADER_BYTES, len(raw) - step + 1, step)
    last = next((at for at in reversed(offsets) if raw[at + 8 : at + 16] == salts), -1)
    return (at for at in offsets if at <= last)


def with_header(raw: bytes) -> bytes:
    """The log with its header made anew from what its frames say, if it is damaged and they agree.

    The header is synced before the first frame is written, so frames with salts of their own prove that it was whole.
    """
    if len(raw) < HEADER_BYTES + FRAME_HEADER_BYTES + PAGE_BYTES or _header(raw)[1]:
        return raw
    salts = raw[HEADER_BYTES + 8 : HEADER_BYTES + 16]
    order = "<" if sys.byteorder == "little" else ">"
    magic = LITTLE_ENDIAN_MAGIC if order == "<" else BIG_ENDIAN_MAGIC
    head = struct.pack(">IIII", magic, FORMAT_VERSION, PAGE_BYTES, 0) + salts
    made = head + struct.pack(">II", *checksum(head, (0, 0), order)) + raw[HEADER_BYTES:]
    # All frames but the first can be judged without the old header; one at least has to hold.
    frames = list(read_frames(made))
    is_ours = frames[:1] and (frames[0].is_intact or any(frame.is_intact for frame in frames[1:]))
    return made if is_ours else raw


def committed_pages(raw: bytes, page_bytes: int) -> dict[int, bytes]:
    """By number, the newest pages of a log that belong to whole commits; none if it is of another page size."""
    if _header(raw)[1] != page_bytes:
        return {}
    pages: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for frame in read_frames(raw):
        if not frame.is_intact:
            break
        number, pages_after = struct.unpack_from(">II", raw, frame.offset)
        pending[number] = raw[(start := frame.offset + FRAME_HEADER_BYTES) : start + page_bytes]
        if frame.is_commit:
            # A commit says how large the file is after it: it may have become shorter.
            pages = {at: page for at, page in (pages | pending).items() if at <= pages_after}
            pending = {}
    return pages


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


def _last_commit(frames: list[Frame]) -> int:
    """The index of the last intact commit; -1 if there is none."""
    return max((at for at, frame in enumerate(frames) if frame.is_commit and frame.is_intact), default=-1)


def _last_durable(frames: list[Frame]) -> int:
    """The index of the last commit that is intact, if a commit before it came after the damage; else -1."""
    first_damaged = next((at for at, frame in enumerate(frames) if not frame.is_intact), len(frames))
    commits = [at for at, frame in enumerate(frames) if frame.is_commit and frame.is_intact and at > first_damaged]
    return commits[-1] if len(commits) >= DURABLE_COMMITS else -1


def with_fresh_checksums(raw: bytes, frames: list[Frame]) -> bytes:
    """The log up to the last of `frames`, with checksums that follow from one another."""
    order, page_bytes, salts = _header(raw)
    sums: Sums = struct.unpack(">II", raw[24:32])
    out = bytearray(raw[:HEADER_BYTES])
    stated_before = computed_before = sums
    for frame in frames:
        page = raw[frame.offset + FRAME_HEADER_BYTES : frame.offset + FRAME_HEADER_BYTES + page_bytes]
        stated: Sums = struct.unpack_from(">II", raw, frame.offset + 16)
        place = raw[frame.offset : frame.offset + 8]
        computed = checksum(page, checksum(place, stated_before, order), order)
        # If only what the frame before said of itself had rotted, this one follows from what that really was.
        follows = checksum(page, checksum(place, computed_before, order), order) == stated
        if not frame.is_intact and not follows:
            place = _mended_place(place, page, stated_before, stated, order)
        sums = checksum(page, checksum(place, sums, order), order)
        out += place + salts + struct.pack(">II", *sums) + page
        stated_before, computed_before = stated, computed
    return bytes(out)


def _mended_place(place: bytes, page: bytes, before: Sums, stated: Sums, order: str) -> bytes:
    """Page number and size of a damaged frame; corrected if one flipped bit in them explains the damage.

    A page that went to another number would spoil a page that is sound.
    """
    value = int.from_bytes(place, "big")
    for bit in range(8 * len(place)):
        tried = (value ^ (1 << bit)).to_bytes(len(place), "big")
        if checksum(page, checksum(tried, before, order), order) == stated:
            return tried
    return place
