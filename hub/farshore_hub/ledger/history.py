"""The ledger as a projection of its facts: what an account is, or was at a time, by what had come until then. Pure.

Facts are only added: what sites claimed, the batches that came and those that were found damaged, the receipts. So
today's accounts can be made again from them, and so can those of any moment since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from farshore_hub.ledger.account import Account
from farshore_hub.ledger.placing import Neighbours, ReceiptHours, place
from farshore_protocol.hours import Hours
from farshore_protocol.ranges import Range, RangeSet


@dataclass(frozen=True, slots=True)
class ClaimFact:
    """What a claim made of an account; `hours` are those that it told."""

    at_us: int
    head: int
    held: RangeSet
    oldest_us: int | None
    closed: bool
    hours: Hours


@dataclass(frozen=True, slots=True)
class BatchFact:
    """A batch that came; `take` is None when all of it was taken, `hours` counts what was."""

    at_us: int
    first: int
    last: int
    take: RangeSet | None
    hours: Hours
    damaged_us: int | None


@dataclass(frozen=True, slots=True)
class ReceiptFact:
    """A receipt that came."""

    at_us: int
    hours: ReceiptHours


@dataclass(slots=True)
class Facts:
    """All facts of one account, each kind in the order of their arrival."""

    claims: list[ClaimFact] = field(default_factory=list)
    batches: list[BatchFact] = field(default_factory=list)
    receipts: list[ReceiptFact] = field(default_factory=list)

    def until(self, at_us: int) -> Facts:
        """What was known at a time."""
        return Facts(
            [each for each in self.claims if each.at_us <= at_us],
            [_as_of(each, at_us) for each in self.batches if each.at_us <= at_us],
            [each for each in self.receipts if each.at_us <= at_us],
        )


def _as_of(batch: BatchFact, at_us: int) -> BatchFact:
    if batch.damaged_us is None or batch.damaged_us <= at_us:
        return batch
    # What was taken of it stood in its row until it was found damaged; all of it was stored, by it or by others.
    return BatchFact(batch.at_us, batch.first, batch.last, None, batch.hours, None)


@dataclass(frozen=True, slots=True)
class Projection:
    """What facts make of an account; by the hour what was produced (as told), stored, shed, and is nowhere.

    `inferred`: not all hours of what is shed or nowhere were told.
    """

    account: Account
    produced: dict[int, int]
    stored: dict[int, int]
    shed: dict[int, int]
    gap: dict[int, int]
    inferred: bool


def account_of(facts: Facts) -> Account:
    """The account that these facts make."""
    sound = [each for each in facts.batches if each.damaged_us is None]
    live = RangeSet.of(*(each for batch in sound for each in _taken(batch)))
    damaged = RangeSet.of(*((each.first, each.last) for each in facts.batches if each.damaged_us is not None))
    receipted = RangeSet.of(*((each.hours.first, each.hours.last) for each in facts.receipts))
    account = Account(stored=live | damaged, receipted=receipted, wanted=damaged - live)
    if not facts.claims:
        return account
    last = facts.claims[-1]
    return Account(
        stored=account.stored,
        receipted=receipted,
        wanted=account.wanted,
        head=last.head,
        held=last.held,
        oldest_us=last.oldest_us,
        closed=last.closed,
    )


def project(facts: Facts) -> Projection:
    """The account that these facts make, and its hours."""
    account = account_of(facts)
    produced: dict[int, int] = {}
    for claim in facts.claims:
        for hour, count in claim.hours.items():
            produced[hour] = max(count, produced.get(hour, 0))
    stored: dict[int, int] = {}
    for batch in facts.batches:
        for hour, count in batch.hours.items() if batch.damaged_us is None else ():
            stored[hour] = stored.get(hour, 0) + count
    receipts = [each.hours for each in facts.receipts]
    placed = place(account, produced, stored, receipts, _neighbours(facts.batches))
    return Projection(account, produced, stored, placed.shed, placed.gap, placed.inferred)


def _taken(batch: BatchFact) -> RangeSet:
    return RangeSet(((batch.first, batch.last),)) if batch.take is None else batch.take


def _neighbours(batches: Sequence[BatchFact]) -> Neighbours:
    known = sorted((each for each in batches if each.hours), key=lambda batch: batch.first)

    def look(span: Range) -> tuple[int | None, int | None]:
        before = [each for each in known if each.first < span[0]][-1:]
        after = [each for each in known if each.first > span[1]][:1]
        return (max(before[0].hours) if before else None, min(after[0].hours) if after else None)

    return look
