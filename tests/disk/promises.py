"""What was promised by when, counted in operations of the disk: the measure of whatever a loss of power leaves."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from farshore_protocol.ranges import EMPTY, RangeSet

Key = tuple[bytes, str, int]
"""Incarnation, stream, sequence."""


@dataclass(slots=True)
class AtTheHub:
    """What has left the site: records by key, and receipts by incarnation and stream."""

    records: dict[Key, Any] = field(default_factory=dict)
    receipted: dict[tuple[bytes, str], RangeSet] = field(default_factory=dict)
    forgotten: frozenset[Key] = frozenset()
    """What a hub had that was since restored from a backup: the site may have let go of it."""

    def has_receipt(self, key: Key) -> bool:
        """Whether the hub knows that this record will not come."""
        return key[2] in self.receipted.get(key[:2], EMPTY)


@dataclass(slots=True)
class Promises:
    """Grows during a life; `upto` says what was promised before an operation of it."""

    acknowledged: list[tuple[int, Key, int]] = field(default_factory=list)
    """At which operation, the key, and the serial number of the record."""
    tried: dict[int, int] = field(default_factory=dict)
    """Serial number of every record that was ever given to the buffer: from which operation on."""
    refused: dict[int, int] = field(default_factory=dict)
    """Serial numbers of what was refused, and when: they must never turn up after that."""
    in_doubt: set[int] = field(default_factory=set)
    """Serial numbers of what ended in an error of the disk: there once, or not at all."""
    checkpoints: list[tuple[int, int]] = field(default_factory=list)
    hub: list[tuple[int, AtTheHub]] = field(default_factory=list)
    """What had left the site by the end of a step that ended at this operation."""

    def records_by(self, operation: int) -> dict[Key, int]:
        """What was acknowledged before this many operations were done."""
        end = bisect_right(self.acknowledged, operation, key=lambda each: each[0])
        return {key: serial for _, key, serial in self.acknowledged[:end]}

    def checkpoint_by(self, operation: int) -> int:
        """The newest checkpoint that was acknowledged."""
        return max((value for at, value in self.checkpoints if at <= operation), default=0)

    def hub_at(self, operation: int) -> AtTheHub:
        """What the hub had at the end of the step in which the operation was done."""
        found = next((there for at, there in self.hub if at >= operation), None)
        return found or (self.hub[-1][1] if self.hub else AtTheHub())
