"""Which encodings a stream's columns take: chosen by trial on a sample, then kept from batch to batch.

A plan only ever saves the encoder work. Every choice is verified on the data it is used for, and made anew where it
does not fit. A decoder needs none.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, TypeAlias

Path: TypeAlias = tuple[object, ...]
"""Where a column stands: the keys and parts that lead to it, the same for encoder and decoder."""

RENEW_AT_GROWTH: Final = 1.25
"""A plan is renewed when a batch takes this many times the bytes per record of the one it was made on."""


class Packing(NamedTuple):
    """The compressor of each section; without a second one they are joined."""

    first: int
    second: int | None


class Effort(enum.Enum):
    """How much time a batch may take to become small."""

    FAST = "fast"
    BALANCED = "balanced"
    SMALL = "small"


RENEW_AFTER_BATCHES: Final = {Effort.FAST: 256, Effort.BALANCED: 64, Effort.SMALL: 32}
"""A plan lasts so many batches. Data drifts, and renewing often costs time but saves up to a tenth."""

COPY_LASTS_BATCHES: Final = 8
COPY_LASTS_RECORDS: Final = 2_048
"""A plan that was made for another stream serves no longer: it spares the search where there are few batches, and where
streams are unlike after all, few records are a tenth larger."""

MIN_BATCHES_BETWEEN: Final = {Effort.FAST: 8, Effort.BALANCED: 4, Effort.SMALL: 2}
"""Growth alone renews a plan no sooner, so that restless data is not planned for every batch."""


class Choice:
    """The encoding picked for one column, and the choices for the columns that it is made of."""

    __slots__ = ("parts", "path", "picked")

    def __init__(self, path: Path = ()) -> None:
        self.path = path
        self.picked: tuple[int, ...] = ()
        self.parts: dict[object, Choice] = {}

    def part(self, name: object) -> Choice:
        """The choice for the part called `name`."""
        part = self.parts.get(name)
        if part is None:
            part = self.parts[name] = Choice((*self.path, name))
        return part

    def inside(self, name: object) -> Choice:
        """The choice for an encoding of the same column inside this one."""
        part = self.parts.get(name)
        if part is None:
            part = self.parts[name] = Choice(self.path)
        return part

    def fresh(self) -> Choice:
        """An empty choice for the same column, for a trial."""
        return Choice(self.path)

    def copy(self) -> Choice:
        """The same choices, which may change by themselves."""
        copied = Choice(self.path)
        copied.picked = self.picked
        copied.parts = {name: part.copy() for name, part in self.parts.items()}
        return copied

    def adopt(self, other: Choice) -> None:
        """Take over what a trial has found to be best."""
        self.picked, self.parts = other.picked, other.parts


class Plan:
    """The encodings of one stream. Give the same plan to every `encode` of the stream; it renews itself."""

    __slots__ = ("_batches", "_is_copy", "_planned_size", "_records", "choice", "group_key", "is_made", "packing")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Plan anew with the next batch."""
        self.choice = Choice()
        self.group_key: str | None = None
        self.packing: Packing | None = None
        self.is_made = False
        self._is_copy = False
        self._batches = 0
        self._records = 0
        self._planned_size = 0.0

    def copy(self) -> Plan:
        """The same plan for another stream that is like this one. It does not last long: likeness is only a guess."""
        copied = Plan()
        copied.choice, copied.group_key, copied.packing = self.choice.copy(), self.group_key, self.packing
        copied.is_made, copied._is_copy = self.is_made, True
        copied._batches, copied._planned_size = 1, self._planned_size
        return copied

    def observe(self, count: int, size: int, effort: Effort) -> None:
        """Note that a batch of `count` records took `size` bytes, and forget the choices when it is time."""
        per_record = size / max(1, count)
        self._batches += 1
        self._records += count
        if self._batches == 1:
            self._planned_size = per_record
        has_grown = per_record > self._planned_size * RENEW_AT_GROWTH and self._batches > MIN_BATCHES_BETWEEN[effort]
        if has_grown or self._batches >= RENEW_AFTER_BATCHES[effort] or self._is_used_up():
            self.forget()

    def _is_used_up(self) -> bool:
        return self._is_copy and (self._batches >= COPY_LASTS_BATCHES or self._records >= COPY_LASTS_RECORDS)
