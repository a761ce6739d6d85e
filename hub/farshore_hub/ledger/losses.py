"""Losses: records that were produced and are not stored, range by range, with the cause as far as it is known. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.damage import Outcome
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import EMPTY, RangeSet


class LossCause(enum.StrEnum):
    """Why records are not stored."""

    EVICTED = "evicted"
    """The site's buffer was full, and its policy is to give up the oldest."""
    THINNED = "thinned"
    """The site's buffer was full; an hourly summary stands for the detail."""
    EXPIRED = "expired"
    """Older than the stream's greatest age at the site."""
    QUARANTINED = "quarantined"
    """The site holds them aside, because they cannot be sealed."""
    DAMAGED_AT_EDGE = "damaged-at-edge"
    """The site's own store was damaged."""
    HUB_DAMAGE = "hub-damage"
    """The hub's copy was damaged, and the site no longer has them."""
    HUB_RESTORED = "hub-restored"
    """The hub had them and was restored from an older backup, and the site no longer has them."""
    UNKNOWN = "unknown"
    """Nowhere, and nothing says why."""


class LossState(enum.StrEnum):
    """Whether there is hope."""

    LOST = "lost"
    WANTED = "wanted"
    """The hub's copy was damaged; the site is asked for them and has not answered yet."""
    MISSING = "missing"
    """Nothing says that they are gone for good."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A receipt, as it is stored."""

    ranges: RangeSet
    reason: Reason
    at_us: int
    detail: str


@dataclass(frozen=True, slots=True)
class Damage:
    """A damage, as it is stored; without an outcome it lasts."""

    ranges: RangeSet
    found_us: int
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Loss:
    """A range of records that are not stored.

    Attributes:
        since_us: of a receipt by the site's clock, of a damage by the hub's; None if nobody knows.
        detail: in words; may be empty.
    """

    first: int
    last: int
    cause: LossCause
    state: LossState
    since_us: int | None
    detail: str


_CAUSES: Final = {
    Reason.EVICTED: LossCause.EVICTED,
    Reason.THINNED: LossCause.THINNED,
    Reason.EXPIRED: LossCause.EXPIRED,
    Reason.DAMAGED: LossCause.DAMAGED_AT_EDGE,
    Reason.QUARANTINED: LossCause.QUARANTINED,
}


def losses(account: Account, receipts: Sequence[GivenUp], damages: Sequence[Damage]) -> list[Loss]:
    """Everything of an account that is not stored and not pending, in order; no record is in two losses."""
    found = [*_receipted(account, receipts, damages), *_gaps(balance(account).gaps, damages)]
    return sorted(found, key=lambda loss: loss.first)


def _receipted(account: Account, receipts: Sequence[GivenUp], damages: Sequence[Damage]) -> Iterator[Loss]:
    left = account.receipted - (account.stored - account.wanted)
    for receipt in receipts:
        mine = receipt.ranges & left
        left = left - mine
        if receipt.reason is Reason.UNRETAINED:
            yield from _unretained(mine, receipt, damages)
        else:
            yield from _lost(mine, _CAUSES[receipt.reason], receipt.at_us, receipt.detail)


def _unretained(ranges: RangeSet, receipt: GivenUp, damages: Sequence[Damage]) -> Iterator[Loss]:
    for damage in damages:
        mine = ranges & damage.ranges
        ranges = ranges - mine
        yield from _lost(mine, LossCause.HUB_DAMAGE, damage.found_us, receipt.detail)
    yield from _lost(ranges, LossCause.HUB_RESTORED, receipt.at_us, receipt.detail)


def _lost(ranges: RangeSet, cause: LossCause, since_us: int, detail: str) -> Iterator[Loss]:
    yield from (Loss(first, last, cause, LossState.LOST, since_us, detail) for first, last in ranges)


def _gaps(gaps: RangeSet, damages: Iterable[Damage]) -> Iterator[Loss]:
    for damage in damages:
        mine = gaps & damage.ranges
        gaps = gaps - mine
        state = LossState.WANTED if damage.outcome is None else LossState.LOST
        detail = "" if damage.outcome is None else "the site no longer knows of them"
        for first, last in mine:
            yield Loss(first, last, LossCause.HUB_DAMAGE, state, damage.found_us, detail)
    yield from (Loss(first, last, LossCause.UNKNOWN, LossState.MISSING, None, "") for first, last in gaps or EMPTY)
