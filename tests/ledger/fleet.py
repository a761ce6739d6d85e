"""A fleet by a seed: what each site produced, what became of each batch of it, and so what must be missing in the end.

The truth is kept in plain sets of numbers, apart from everything that the hub calculates with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

STREAMS = 10
HOUR_US = 3_600_000_000
START_US = 1_795_435_200_000_000
STEP_US = 90_000_000


@dataclass
class Piece:
    """Some consecutive records, as the agent sealed them.

    Attributes:
        fate: what becomes of it: delivered, twice, held, evicted, or lost without a trace.
        late: it is delivered in the second half.
        kept: the agent still has it when the hub asks again.
        rots: its stored bytes are found damaged.
        cloned: another agent has used the same sequences for other records.
    """

    first: int
    last: int
    fate: str
    late: bool
    kept: bool
    rots: bool
    cloned: bool

    @property
    def span(self) -> set[int]:
        return set(range(self.first, self.last + 1))


@dataclass
class Stream:
    """One stream of one incarnation; `head` is beyond its pieces when the tail was lost."""

    site: str
    name: str
    incarnation: bytes
    head: int
    pieces: list[Piece]
    stored: set[int] = field(default_factory=set)
    receipted: set[int] = field(default_factory=set)

    @property
    def held(self) -> set[int]:
        return {each for piece in self.pieces if piece.fate == "held" for each in piece.span}

    @property
    def missing(self) -> set[int]:
        """What no one has and no receipt explains."""
        return set(range(1, self.head + 1)) - self.stored - self.receipted - self.held


def hours(first: int, last: int) -> dict[int, int]:
    """The hours of records; each is a minute and a half after the one before."""
    counts: dict[int, int] = {}
    while first <= last:
        hour = (START_US + first * STEP_US) // HOUR_US
        # The first sequence of the next hour.
        after = -((START_US - (hour + 1) * HOUR_US) // STEP_US)
        counts[hour] = min(last + 1, after) - first
        first = after
    return counts


def fleet(random: Random, sites: int) -> list[Stream]:
    """What the sites of a seed have produced."""
    return [stream for at in range(sites) for stream in _of_site(random, f"site-{at}")]


def _of_site(random: Random, site: str) -> Iterator[Stream]:
    for number in range(STREAMS):
        for life in range(1 + (random.random() < 0.1)):
            incarnation = hashlib.sha256(f"{site} {number} {life}".encode()).digest()[:8]
            pieces = list(_pieces(random, random.randint(1, 6)))
            tail = random.randint(1, 9) if random.random() < 0.05 else 0
            yield Stream(site, f"stream-{number}", incarnation, pieces[-1].last + tail, pieces)


def _pieces(random: Random, count: int) -> Iterator[Piece]:
    last = 0
    fates = ("delivered", "twice", "held", "evicted", "lost")
    for _ in range(count):
        first, last = last + 1, last + random.randint(1, 40)
        [fate] = random.choices(fates, (80, 8, 4, 4, 4))
        chances = (random.random() < 0.5, random.random() < 0.7, random.random() < 0.01, random.random() < 0.02)
        yield Piece(first, last, fate, *chances)


def ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as ranges."""
    found: list[tuple[int, int]] = []
    for each in sorted(numbers):
        if found and found[-1][1] == each - 1:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found
