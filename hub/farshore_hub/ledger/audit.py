"""Is an account what its batches make of it? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from farshore_hub.ledger.account import Account
from farshore_protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Audit:
    """What is wrong with an account.

    Attributes:
        unbacked: it says that they are stored, and no batch has them.
        uncounted: a batch has them, and it does not say so.
        doubled: how many records are in two batches.
        rebuilt: the account as it should be: what nothing backs is wanted again.
    """

    unbacked: RangeSet
    uncounted: RangeSet
    doubled: int
    rebuilt: Account


def audit(account: Account, taken: Sequence[RangeSet]) -> Audit:
    """Hold an account against what was taken from each of its batches."""
    backed = RangeSet.of(*(each for one in taken for each in one))
    stored = account.stored - account.wanted
    unbacked, uncounted = stored - backed, backed - stored
    rebuilt = replace(account, stored=account.stored | backed, wanted=(account.wanted | unbacked) - backed)
    doubled = sum(one.count for one in taken) - backed.count
    return Audit(unbacked, uncounted, doubled, rebuilt if unbacked or uncounted else account)
