"""What a frame of the write-ahead log was before one of its bits flipped.

A last commit that fails its check may be torn, and then it was never acknowledged; or a bit of it has rotted, and it
was. One flipped bit tells itself: SQLite's checksum is linear, so each bit of a frame changes it in a known way. That
a torn frame looks like that by chance is one in 2 to the power of 48. The highest bits of words far apart change it in
the same way: then it is known that one bit has flipped, and not which. Nothing is guessed then: a page that went to
another number would spoil one that is sound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from farshore_agent.buffer.wal_checksum import Sums, checksum

WORD_BITS: Final = 32
_MASK: Final = (1 << WORD_BITS) - 1
_PLACE_BYTES: Final = 8
_SALTS: Final = slice(8, 16)
_SUMS: Final = slice(16, 24)
HEADER_BYTES: Final = 24


def explained(frame: bytes, following: bytes, salts: bytes, before: Sums, order: str) -> list[bytes]:
    """What a frame can have been before one of its bits flipped; nothing if it is sound, or no single bit explains it.

    Args:
        frame: header and page.
        following: the frame behind it; may be empty.
        salts: of the log's present generation.
        before: the checksum up to the frame.
        order: of the bytes of the words that the checksum adds.
    """
    stated, computed = _stated(frame), _computed(frame, before, order)
    if computed == stated:
        is_one_off = _distance(frame[_SALTS], salts) == 1
        return [frame[:8] + salts + frame[16:]] if is_one_off else []
    if frame[_SALTS] != salts:
        return []
    candidates = list(_with_one_bit_changed(frame, computed, stated, order))
    if _distance(struct.pack(">II", *computed), frame[_SUMS]) == 1:
        right = frame[:16] + struct.pack(">II", *computed) + frame[24:]
        if following and _computed(following, computed, order) == _stated(following):
            return [right]
        candidates += [] if following else [right]
    return candidates


def as_far_as_known(found: bytes, candidates: list[bytes], pages: int, most_pages: int) -> bytes | None:
    """A frame that can have been several, with what all agree in; None if it is not known which page it holds.

    Args:
        found: the frame as it is.
        candidates: what it can have been.
        pages: of the database after it, as the newest first page says, if the frame ends a commit.
        most_pages: that the database can have.
    """
    if len(candidates) == 1:
        return candidates[0]
    possible = [each for each in candidates if 1 <= place(each)[0] <= most_pages]
    if len({place(each)[0] for each in possible}) != 1:
        return None
    if len(possible) == 1:
        return possible[0]
    sizes = {place(each)[1] for each in possible}
    size = next((each for each in (pages, 0) if each in sizes), place(found)[1])
    return struct.pack(">II", place(possible[0])[0], size) + found[_PLACE_BYTES:]


def place(frame: bytes | bytearray) -> tuple[int, int]:
    """The number of a frame's page, and of the database's pages after it if it ends a commit, else 0."""
    number, pages = struct.unpack_from(">II", frame)
    return number, pages


def _with_one_bit_changed(frame: bytes, computed: Sums, stated: Sums, order: str) -> Iterator[bytes]:
    """The frames that have the stated checksum, and differ in one bit."""
    content = frame[:_PLACE_BYTES] + frame[HEADER_BYTES:]
    layout = f"{order}{len(content) // 4}I"
    words = list(struct.unpack(layout, content))
    too_much = (computed[0] - stated[0]) & _MASK, (computed[1] - stated[1]) & _MASK
    # One of a word's two weights is odd, whichever word it is: the lowest bit of the differences has flipped.
    bit = (too_much[0] | too_much[1]) & -(too_much[0] | too_much[1])
    for at, weights in _weights(len(words)):
        change = bit if words[at] & bit else -bit
        if (change * weights[0] & _MASK, change * weights[1] & _MASK) == too_much:
            right = struct.pack(layout, *words[:at], words[at] ^ bit, *words[at + 1 :])
            yield right[:_PLACE_BYTES] + frame[_PLACE_BYTES:HEADER_BYTES] + right[_PLACE_BYTES:]


def _weights(count: int) -> Iterator[tuple[int, Sums]]:
    """By how much each word changes the checksum's two sums, from the last word to the first."""
    even, odd = (1, 1), (0, 1)
    for at in range(count - 2, -1, -2):
        yield at + 1, odd
        yield at, even
        even, odd = _one_step_earlier(even), _one_step_earlier(odd)


def _one_step_earlier(sums: Sums) -> Sums:
    first = (sums[0] + sums[1]) & _MASK
    return first, (sums[1] + first) & _MASK


def _stated(frame: bytes) -> Sums:
    first, second = struct.unpack(">II", frame[_SUMS])
    return first, second


def _computed(frame: bytes, before: Sums, order: str) -> Sums:
    return checksum(frame[HEADER_BYTES:], checksum(frame[:_PLACE_BYTES], before, order), order)


def _distance(one: bytes, other: bytes) -> int:
    """In how many bits they differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
