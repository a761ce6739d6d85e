"""Which bit of a frame of the write-ahead log has flipped, as far as its checksum tells."""

from __future__ import annotations

import random
import struct

from farshore_agent.buffer.flipped import as_far_as_known, explained
from farshore_agent.buffer.wal_checksum import checksum

SALTS = b"saltsalt"
BEFORE = (7, 11)
PAGES = 40
ORDER = "<"


def frame(number: int, size: int, page: bytes) -> bytes:
    place = struct.pack(">II", number, size)
    sums = checksum(page, checksum(place, BEFORE, ORDER), ORDER)
    return place + SALTS + struct.pack(">II", *sums) + page


def flip(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_frame_as_it_was_is_always_among_the_candidates() -> None:
    chance = random.Random(3)
    whole = frame(9, PAGES, chance.randbytes(4096))
    assert explained(whole, b"", SALTS, BEFORE, ORDER) == []
    for bit in [*range(64), *(chance.randrange(24 * 8, 8 * len(whole)) for _ in range(100))]:
        assert whole in explained(flip(whole, bit), b"", SALTS, BEFORE, ORDER), bit


def test_a_frame_never_goes_to_a_page_that_it_may_not_be() -> None:
    chance = random.Random(4)
    undecided = 0
    for number, size in ((9, 0), (9, PAGES), (1, PAGES), (33, 0)):
        whole = frame(number, size, chance.randbytes(4096))
        for bit in [*range(64), *(chance.randrange(24 * 8, 8 * len(whole)) for _ in range(100))]:
            found = flip(whole, bit)
            known = as_far_as_known(found, explained(found, b"", SALTS, BEFORE, ORDER), PAGES, PAGES)
            undecided += known is None
            assert known is None or known[:8] == whole[:8], (number, size, bit)
    # In the highest bits of the page's number only.
    assert 0 < undecided < 100
