"""What becomes of a batch: pure, and every verdict says why."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from farshore_hub.ledger.account import Account
from farshore_protocol.limits import MAX_RANGES
from farshore_protocol.ranges import EMPTY, RangeSet


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that is stored already, as far as it matters for a newcomer."""

    first: int
    count: int
    digest: bytes
    content_digest: bytes
    partial: bool = False
    """Only some of it was taken, because other batches had the rest."""


class Fate(enum.StrEnum):
    """What becomes of a batch."""

    FRESH = "fresh"
    """Nothing of it is stored yet: all of it is."""
    DUPLICATE = "duplicate"
    """All of it is stored, with the same content: acknowledged again, nothing written."""
    OVERLAP = "overlap"
    """Some of it is stored in other batches: the rest is taken, the whole batch is kept and reported."""
    FORK = "fork"
    """All of it is stored, with other content: kept aside and reported."""
    SCATTERED = "scattered"
    """The account is in as many pieces as an answer can name, and this would be one more: refused until some join."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a batch, which of its sequences are taken, and why."""

    fate: Fate
    take: RangeSet
    why: str
    forked: bool = False
    """Two different records may claim one sequence."""


def decide(account: Account, newcomer: StoredBatch, known: Sequence[StoredBatch]) -> Verdict:
    """Decide about a batch that is authentic.

    Args:
        account: the account it belongs to, as it is now.
        newcomer: the batch.
        known: the stored batches that start where it does; needed only when some of it is stored.
    """
    first, last = newcomer.first, newcomer.first + newcomer.count - 1
    whole = RangeSet(((first, last),))
    have = account.stored.clip(first, last) - account.wanted
    if not fits(account.stored, whole):
        return Verdict(Fate.SCATTERED, EMPTY, f"what is stored is in {MAX_RANGES} pieces; send what lies between first")
    if not have:
        return Verdict(Fate.FRESH, whole, "none of it is stored")
    twin = next((each for each in known if _same_records(each, newcomer)), None)
    if twin is not None and have == whole:
        # Reported until the agent knows: the answer that said so first may be lost.
        return Verdict(Fate.DUPLICATE, EMPTY, "the same records are stored", forked=twin.partial)
    if have == whole:
        return Verdict(Fate.FORK, EMPTY, f"{first}…{last} is stored with other content", forked=True)
    return Verdict(Fate.OVERLAP, whole - have, f"{have} is stored already", forked=twin is None or twin.partial)


def fits(ranges: RangeSet, more: RangeSet) -> bool:
    """Whether an answer can still name the ranges when more are added."""
    few = len(ranges.ranges) + len(more.ranges) <= MAX_RANGES
    return few or len((ranges | more).ranges) <= MAX_RANGES


def _same_records(one: StoredBatch, other: StoredBatch) -> bool:
    if one.digest == other.digest:
        return True
    return (one.first, one.count, one.content_digest) == (other.first, other.count, other.content_digest)
