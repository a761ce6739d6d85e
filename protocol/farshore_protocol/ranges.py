"""Sets of sequence numbers as sorted, disjoint, inclusive ranges.

What is stored, what is held, what is missing: all of the ledger's questions are union, difference and intersection of
these. Immutable; ranges that touch are one range, so equal sets are equal values.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from farshore_protocol.errors import Malformed, OverLimit
from farshore_protocol.limits import MAX_RANGES, MAX_SEQUENCE

Range = tuple[int, int]
"""First and last sequence, both included."""


@dataclass(frozen=True, slots=True)
class RangeSet:
    """A set of sequences. `ranges` is sorted, disjoint, and no two ranges touch."""

    ranges: tuple[Range, ...] = ()

    @classmethod
    def of(cls, *ranges: Range) -> Self:
        """Build a set from ranges in any order; they may overlap.

        Raises:
            ValueError: a range ends before it starts, or starts below 1.
        """
        return cls(tuple(_joined(ranges)))

    @classmethod
    def from_wire(cls, flat: list[int]) -> Self:
        """Read the wire form `[first, last, first, last, …]`.

        Raises:
            Malformed: odd length, unsorted, touching, overlapping or out of 1…2^63-1.
            OverLimit: more than `MAX_RANGES` ranges.
        """
        if len(flat) % 2:
            raise Malformed("a range set has an odd number of bounds")
        if len(flat) > 2 * MAX_RANGES:
            raise OverLimit(f"a range set has more than {MAX_RANGES} ranges")
        below = -1
        for first, last in zip(flat[::2], flat[1::2], strict=True):
            if not below + 1 < first <= last <= MAX_SEQUENCE or first < 1:
                raise Malformed(f"range {first}…{last} of a range set is out of order or out of bounds")
            below = last
        return cls(tuple(zip(flat[::2], flat[1::2], strict=True)))

    def to_wire(self) -> list[int]:
        """The wire form `[first, last, first, last, …]`."""
        return [bound for each in self.ranges for bound in each]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __iter__(self) -> Iterator[Range]:
        return iter(self.ranges)

    @property
    def count(self) -> int:
        """How many sequences are in the set. Not `len`: that is how many `iter` yields, and it ends at 2^63."""
        return sum(last - first + 1 for first, last in self.ranges)

    def __contains__(self, sequence: int) -> bool:
        at = bisect_right(self.ranges, (sequence, MAX_SEQUENCE + 1)) - 1
        return at >= 0 and self.ranges[at][1] >= sequence

    def __or__(self, other: RangeSet) -> RangeSet:
        if not other.ranges:
            return self
        if not self.ranges:
            return other
        return RangeSet(tuple(_joined(self.ranges + other.ranges)))

    def __and__(self, other: RangeSet) -> RangeSet:
        mine, theirs, common = list(self.ranges[::-1]), list(other.ranges[::-1]), []
        while mine and theirs:
            (a, b), (c, d) = mine[-1], theirs[-1]
            if max(a, c) <= min(b, d):
                common.append((max(a, c), min(b, d)))
            (mine if b < d else theirs).pop()
        return RangeSet(tuple(common))

    def __sub__(self, other: RangeSet) -> RangeSet:
        left: list[Range] = []
        for first, last in self.ranges:
            left.extend(_without(first, last, other._overlapping(first, last)))
        return RangeSet(tuple(left))

    def covers(self, first: int, last: int) -> bool:
        """Whether every sequence from `first` to `last` is in the set."""
        at = bisect_right(self.ranges, (first, MAX_SEQUENCE + 1)) - 1
        return at >= 0 and self.ranges[at][1] >= last

    def clip(self, first: int, last: int) -> RangeSet:
        """The part of the set between `first` and `last`, both included."""
        return RangeSet(tuple((max(a, first), min(b, last)) for a, b in self._overlapping(first, last)))

    def within(self, count: int) -> RangeSet:
        """A set of at most `count` ranges, 1 or more, that has all of these: the last ones are one range."""
        if len(self.ranges) <= count:
            return self
        return RangeSet((*self.ranges[: count - 1], (self.ranges[count - 1][0], self.highest)))

    @property
    def watermark(self) -> int:
        """The sequence up to which nothing from 1 on is missing; 0 when 1 itself is."""
        return self.ranges[0][1] if self.ranges and self.ranges[0][0] == 1 else 0

    @property
    def highest(self) -> int:
        """The highest sequence of the set; 0 when it is empty."""
        return self.ranges[-1][1] if self.ranges else 0

    def _overlapping(self, first: int, last: int) -> tuple[Range, ...]:
        start = max(bisect_left(self.ranges, (first, 0)) - 1, 0)
        stop = bisect_right(self.ranges, (last, MAX_SEQUENCE + 1))
        return tuple(each for each in self.ranges[start:stop] if each[1] >= first)

    def __str__(self) -> str:
        return ", ".join(str(a) if a == b else f"{a}…{b}" for a, b in self.ranges) or "none"


EMPTY = RangeSet()


def upto(last: int) -> RangeSet:
    """The set 1…`last`; empty when `last` is 0."""
    return RangeSet(((1, last),)) if last > 0 else EMPTY


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if not 1 <= first <= last:
            raise ValueError(f"{first}…{last} is not a range of sequences")
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _without(first: int, last: int, holes: Iterable[Range]) -> Iterator[Range]:
    for a, b in holes:
        if a > first:
            yield first, a - 1
        first = b + 1
    if first <= last:
        yield first, last
