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

from farshore_agent.buffer.flipped import as_far_as_known, explained, place
from farshore_agent.buffer.wal_checksum import Sums, checksum

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
LITTLE_ENDIAN_MAGIC: Final = 0x377F0682
BIG_ENDIAN_MAGIC: Final = 0x377F0683
PAGE_SIZES: Final = tuple(512 << power for power in range(8))
PAGE_BYTES: Final = 4096
"""Of the buffer's own files."""

SIZE_AT: Final = 28
"""Where the first page says how many pages there are."""

FORMAT_VERSION: Final = 3_007_000
DURABLE_COMMITS: Final = 2
"""A damaged frame followed by this many commits belongs to one that was synced."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in the log."""

    offset: int
    is_commit: bool
    is_intact: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What has rotted in a log.

    Attributes:
        what: for people; nothing if all is well.
        mended: the log as it would be mended.
        is_whole: whether that has every page of the log; if not, a page may be as it was before.
    """

    what: str = ""
    mended: bytes = b""
    is_whole: bool = True


def mend(path: Path) -> Found:
    """Repair the log of the database at `path`, if bytes in its middle have rotted; what was found.

    The log as it was is kept beside it. One that cannot be mended whole is left as it is.
    """
    found = look(path)
    if found.what and found.is_whole:
        log = path.with_name(path.name + "-wal")
        log.with_name(log.name + ".damaged").write_bytes(log.read_bytes())
        draft = log.with_name(log.name + ".mended")
        with draft.open("wb") as file:
            file.write(found.mended)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(log)
    return found


def look(path: Path) -> Found:
    """What has rotted in the log of the database at `path`; changes nothing."""
    log = path.with_name(path.name + "-wal")
    found = log.read_bytes() if log.exists() else b""
    headed = with_header(found)
    frames = list(read_frames(headed))
    pages = path.stat().st_size // PAGE_BYTES if path.exists() else 0
    raw, flipped, unplaced = with_flips_set_right(headed, frames, pages)
    if flipped:
        frames = list(read_frames(raw))
    last = _last_durable(frames)
    if last < 0 and headed != found:
        last = _last_commit(frames)
    elif last < 0 and flipped:
        sound = takewhile(lambda frame: frame.is_intact or frame.offset in flipped, frames)
        last = max((at for at, frame in enumerate(sound) if frame.is_commit), default=-1)
    rotten = flipped | {frame.offset for frame in frames[: last + 1] if not frame.is_intact}
    if last < 0 or (not rotten and raw == found):
        return Found()
    what = f"{len(rotten)} of {len(frames)} frames" if rotten else "the header"
    return Found(
        f"{what} of the write-ahead log had rotted",
        with_fresh_checksums(raw, frames[: last + 1], unplaced),
        is_whole=not any(frame.offset in unplaced for frame in frames[: last + 1]),
    )


def with_flips_set_right(raw: bytes, frames: list[Frame], pages: int) -> tuple[bytes, set[int], set[int]]:
    """The log with every frame set right in which it is known which bit has flipped.

    Args:
        raw: the log.
        frames: what was read of it.
        pages: of the database before it.

    Returns:
        The log; the offsets of these frames and of those in which it is only known that one has; and of those among
        them of which it is not known which page they hold.
    """
    order, page_bytes, salts = _header(raw)
    step = FRAME_HEADER_BYTES + page_bytes
    if not page_bytes or not _may_have_flips(raw, frames, step, salts):
        return raw, set(), set()
    out, flipped, unplaced = bytearray(raw), set(), set()
    intact = {frame.offset for frame in frames if frame.is_intact}
    most_pages = max([pages, *(place(raw[frame.offset : frame.offset + 8])[1] for frame in frames)])
    for at in range(HEADER_BYTES, len(raw) - step + 1, step):
        if at not in intact:
            sums: Sums = struct.unpack_from(">II", out, at - step + 16 if at > HEADER_BYTES else 24)
            found, following = raw[at : at + step], raw[at + step : at + 2 * step]
            is_last = len(following) < step or following[8:16] != salts
            if candidates := explained(found, b"" if is_last else following, salts, sums, order):
                flipped.add(at)
                known = as_far_as_known(found, candidates, pages, most_pages)
                out[at : at + step] = known or found
                unplaced |= set() if known else {at}
        if place(out[at : at + 8])[0] == 1:
            pages = struct.unpack_from(">I", out, at + FRAME_HEADER_BYTES + SIZE_AT)[0]
    return bytes(out), flipped, unplaced


def _may_have_flips(raw: bytes, frames: list[Frame], step: int, salts: bytes) -> bool:
    """Whether a frame does not check, or the one after the last one could be one more whose salts have rotted."""
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


def with_fresh_checksums(raw: bytes, frames: list[Frame], unplaced: set[int]) -> bytes:
    """The log up to the last of `frames` as one commit, without the unplaced ones, with checksums that follow."""
    order, page_bytes, salts = _header(raw)
    sums: Sums = struct.unpack(">II", raw[24:32])
    out = bytearray(raw[:HEADER_BYTES])
    kept = [frame for frame in frames if frame.offset not in unplaced]
    for frame in kept:
        page = raw[frame.offset + FRAME_HEADER_BYTES : frame.offset + FRAME_HEADER_BYTES + page_bytes]
        pages = place(raw[frames[-1].offset : frames[-1].offset + 8])[1] if frame is kept[-1] else 0
        head = struct.pack(">II", place(raw[frame.offset : frame.offset + 8])[0], pages)
        sums = checksum(page, checksum(head, sums, order), order)
        out += head + salts + struct.pack(">II", *sums) + page
    return bytes(out)
