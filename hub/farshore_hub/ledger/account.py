"""One account: a stream of a site in one incarnation. Claims and receipts change it; `balance` says where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from farshore_protocol.messages import Claim
from farshore_protocol.ranges import EMPTY, RangeSet, upto


@dataclass(frozen=True, slots=True)
class Account:
    """What the hub has and has been told.

    Attributes:
        stored: sequences whose records are stored.
        receipted: sequences for which a receipt is stored; may overlap `stored` when a batch came after its receipt.
        wanted: sequences whose stored copy was damaged; they count as not stored.
        head: the highest sequence that the site says it gave out.
        held: what the site says is still at the edge.
        oldest_us: event time of the oldest of it.
        closed: the site gives out no more in this incarnation.
        stated_by, number: the incarnation and the number of the statement whose claim was applied last.
        told: how many of the records that it gave out the site has told the hours of.
        placed: the hours of some that are shed or nowhere are inferred.
        archived: up to here the backups have everything, as of the latest one.
    """

    stored: RangeSet = EMPTY
    receipted: RangeSet = EMPTY
    wanted: RangeSet = EMPTY
    head: int = 0
    held: RangeSet = EMPTY
    oldest_us: int | None = None
    closed: bool = False
    stated_by: bytes | None = None
    number: int = 0
    told: int = 0
    placed: bool = False
    archived: int = 0

    def with_claim(self, claim: Claim, held: RangeSet, stated_by: bytes, number: int) -> Account:
        """The account after a claim; that of an older statement changes nothing but a higher head."""
        head = max(self.head, claim.head)
        if self._is_older(claim, stated_by, number):
            return replace(self, head=head)
        return replace(
            self,
            head=head,
            held=held,
            oldest_us=claim.oldest_us,
            closed=self.closed or claim.closed,
            stated_by=stated_by,
            number=number,
        )

    def _is_older(self, claim: Claim, stated_by: bytes, number: int) -> bool:
        """Lives follow one another, so the one that gave out the sequences speaks before all others."""
        if stated_by == self.stated_by:
            return number < self.number
        return self.stated_by is not None and stated_by == claim.incarnation

    def with_receipts(self, receipted: RangeSet) -> Account:
        """The account after receipts. Records that are stored stay stored."""
        return replace(self, receipted=self.receipted | receipted)

    def with_stored(self, take: RangeSet) -> Account:
        """The account after records were stored."""
        return replace(self, stored=self.stored | take, wanted=self.wanted - take)


def watermark(account: Account) -> int:
    """Up to which sequence everything is stored or receipted."""
    return (account.stored - account.wanted | account.receipted).watermark


@dataclass(frozen=True, slots=True)
class Balance:
    """Where an account stands: `produced == stored + receipted + pending + gap`, always.

    Attributes:
        gaps: the sequences that are nowhere.
    """

    produced: int
    stored: int
    receipted: int
    pending: int = 0
    gaps: RangeSet = field(default=EMPTY)

    def __post_init__(self) -> None:
        if self.produced != self.stored + self.receipted + self.pending + self.gap:
            raise ValueError(f"{self} does not balance")

    @property
    def gap(self) -> int:
        """How many sequences are nowhere."""
        return self.gaps.count


def balance(account: Account) -> Balance:
    """Divide everything that was produced into stored, receipted, pending and gap, in this order of precedence."""
    produced = max(account.head, account.stored.highest, account.receipted.highest, account.held.highest)
    stored = account.stored - account.wanted if account.wanted else account.stored
    receipted = account.receipted - stored if account.receipted else EMPTY
    settled = stored | receipted
    if settled.watermark == produced:
        # Most accounts, most of the time: this is asked for every batch.
        return Balance(produced, stored.count, receipted.count)
    unsettled = upto(produced) - settled
    pending = unsettled & account.held
    return Balance(
        produced=produced,
        stored=stored.count,
        receipted=receipted.count,
        pending=pending.count,
        gaps=unsettled - pending,
    )
