"""What becomes of a batch: pure, and every verdict says why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from farshore_hub.ledger.account import Account
from farshore_protocol.ranges import EMPTY, RangeSet


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that is stored already, as far as it matters for a newcomer."""

    first: int
    count: int
    digest: bytes
    content_digest: bytes


class Fate(enum.StrEnum):
    """What becomes of a batch."""

    FRESH = "fresh"
    """Nothing of it is stored yet: all of it is."""
    DUPLICATE = "duplicate"
    """All of it is stored, with the same content: acknowledged again, nothing written."""
    OVERLAP = "overlap"
    """Some of it is stored: the rest is taken, the whole batch is kept and reported."""
    FORK = "fork"
    """All of it is stored, with other content: kept aside and reported."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch, which of its sequences are taken, and why."""

    fate: Fate
    take: RangeSet
    why: str

    @property
    def forked(self) -> bool:
        """Whether two different records may claim one sequence."""
        return self.fate in {Fate.OVERLAP, Fate.FORK}


def decide(account: Account, newcomer: StoredBatch, known: Sequence[StoredBatch]) -> Verdict:
    """Decide about a batch that is authentic.

    Args:
        account: the account it belongs to, as it is now.
        newcomer: the batch.
        known: the stored batches that overlap it; needed only when `account.stored` does.
    """
    first, last = newcomer.first, newcomer.first + newcomer.count - 1
    whole = RangeSet(((first, last),))
    have = account.stored.clip(first, last) - account.wanted
    if not have:
        return Verdict(Fate.FRESH, whole, "none of it is stored")
    if have != whole:
        return Verdict(Fate.OVERLAP, whole - have, f"{have} is stored already")
    for each in known:
        if each.digest == newcomer.digest:
            return Verdict(Fate.DUPLICATE, EMPTY, "the same batch is stored")
        if _same_records(each, newcomer):
            return Verdict(Fate.DUPLICATE, EMPTY, "the same records are stored, sealed another time")
    return Verdict(Fate.FORK, EMPTY, f"{first}…{last} is stored with other content")


def _same_records(one: StoredBatch, other: StoredBatch) -> bool:
    return (one.first, one.count, one.content_digest) == (other.first, other.count, other.content_digest)
