"""Posts verified parcels to the ledger: one transaction for a group of them, batch and account together.

First everything is loaded and decided, then everything is written: no parcel can spoil its neighbours half-way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from farshore_hub.ledger.account import Account
from farshore_hub.ledger.damage import Outcome as DamageOutcome
from farshore_hub.ledger.damage import outcome_of
from farshore_hub.ledger.placing import hours_of_part
from farshore_hub.ledger.verdict import Fate, StoredBatch, Verdict, decide, fits
from farshore_hub.receive.room import with_room
from farshore_hub.receive.verify import VerifiedBatch, VerifiedParcel
from farshore_hub.store import accounts, damages, inbox, orders, site_reports
from farshore_hub.store.accounts import AccountKey
from farshore_hub.store.damages import OpenDamage
from farshore_hub.store.journal import MIN_SILENCE_US, add_claims, add_silences, claim_row, says_something_new
from farshore_hub.store.post_days import HourChange, save_with_hours
from farshore_hub.store.ranges import pack_hours, pack_ranges
from farshore_protocol.hours import Hours
from farshore_protocol.messages import Claim, Receipt, Refusal, Refused, Statement
from farshore_protocol.ranges import EMPTY, RangeSet


@dataclass(slots=True)
class Outcome:
    """What became of one parcel.

    Attributes:
        revoked: its site was revoked meanwhile; nothing of it was taken.
        accounts: by incarnation and stream: what the parcel names, what is wanted again, and after a whole statement
            what is not settled.
        taken: digests of batches whose records are stored, by this parcel or before.
        forked: digests of batches that claim sequences which others have.
        refusals: batches that the accounts have no room for.
        fates: how many batches met which fate.
        records: how many records were stored.
        heard: number of the newest report of the site; 0 asks it to introduce itself.
        orders: what the site has not reported on.
    """

    revoked: bool = False
    accounts: dict[tuple[bytes, str], Account] = field(default_factory=dict)
    taken: list[bytes] = field(default_factory=list)
    forked: list[bytes] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    fates: dict[Fate, int] = field(default_factory=lambda: defaultdict(int))
    records: int = 0
    heard: int = 0
    orders: list[bytes] = field(default_factory=list)


def post(connection: Connection, parcels: Sequence[VerifiedParcel], now_us: int) -> list[Outcome]:
    """Store a group of parcels in the caller's transaction; an outcome for each."""
    active = inbox.active_sites(connection, (parcel.site.id for parcel in parcels))
    taken = [parcel for parcel in parcels if parcel.site.id in active]
    unsettled = accounts.unsettled(connection, _stating_all(taken))
    damaged = damages.open_damages(connection, (parcel.site.id for parcel in taken))
    keys = _keys(taken).union(*unsettled.values(), (each.key for each in damaged))
    posting = _Posting(connection, accounts.open_accounts(connection, keys), unsettled, damaged, now_us)
    outcomes = [posting.decide(parcel) if parcel.site.id in active else Outcome(revoked=True) for parcel in parcels]
    posting.write(taken)
    _take_reports(connection, parcels, outcomes, now_us)
    return outcomes


def _take_reports(
    connection: Connection, parcels: Sequence[VerifiedParcel], outcomes: Sequence[Outcome], now_us: int
) -> None:
    """Take what came with these parcels on orders, and note what is left to be said. Asks nothing for most parcels."""
    pairs = [pair for pair in zip(parcels, outcomes, strict=True) if not pair[1].revoked]
    brought = [(parcel.site.id, parcel.report) for parcel, _ in pairs if parcel.report is not None]
    heard = site_reports.take(connection, brought, now_us) if brought else {}
    told = orders.open_orders(connection, {parcel.site.id for parcel, _ in pairs if parcel.site.has_orders}, now_us)
    for parcel, outcome in pairs:
        outcome.heard = heard.get(parcel.site.id, parcel.site.heard)
        outcome.orders = told.get(parcel.site.id, [])


def _keys(parcels: Sequence[VerifiedParcel]) -> set[AccountKey]:
    return {(parcel.site.id, *named) for parcel in parcels for named in _named(parcel)}


def _stating_all(parcels: Sequence[VerifiedParcel]) -> set[int]:
    """The sites that say here and now what they have and have not. A file says it of a time that has passed."""
    return {parcel.site.id for parcel in parcels if parcel.statement.whole and not parcel.by_file}


def _named(parcel: VerifiedParcel) -> dict[tuple[bytes, str], None]:
    """In the order of the parcel, so that the same parcel has the same answer."""
    claimed = ((claim.incarnation, claim.stream) for claim, _ in parcel.claims)
    receipted = ((receipt.incarnation, receipt.stream) for receipt in parcel.statement.receipts)
    brought = ((batch.header.incarnation, batch.header.stream) for batch in parcel.batches)
    return dict.fromkeys([*claimed, *receipted, *brought])


class _Posting:
    """The state of one group while it is decided: accounts as they become, and the rows to write."""

    def __init__(
        self,
        connection: Connection,
        opened: dict[AccountKey, tuple[int, Account]],
        unsettled: dict[int, set[AccountKey]],
        damaged: Sequence[OpenDamage],
        now_us: int,
    ) -> None:
        self._connection = connection
        self._unsettled = unsettled
        self._damaged = damaged
        self._now_us = now_us
        self._ids = {key: account_id for key, (account_id, _) in opened.items()}
        self._before = dict(opened.values())
        self._after = dict(self._before)
        self._added: dict[tuple[int, int], list[StoredBatch]] = defaultdict(list)
        self._forgotten: set[AccountKey] = set()
        self._batches: list[dict[str, Any]] = []
        self._forks: list[dict[str, Any]] = []
        self._receipts: list[dict[str, Any]] = []
        self._claims: list[dict[str, Any]] = []
        self._hours = {account_id: HourChange(key[0]) for key, (account_id, _) in opened.items()}

    def decide(self, parcel: VerifiedParcel) -> Outcome:
        """Decide everything about one parcel."""
        outcome, site_id = Outcome(), parcel.site.id
        unnamed = self._unnamed(parcel)
        self._forgotten |= {(site_id, *each) for each in unnamed}
        for claim, held in [*parcel.claims, *((Claim(*each, head=0, held=[]), EMPTY) for each in unnamed)]:
            at = self._ids[site_id, claim.incarnation, claim.stream]
            self._claim(at, claim, held, parcel.statement)
        for batch in parcel.batches:
            of = (batch.header.incarnation, batch.header.stream)
            hours = parcel.hours.get((*of, batch.header.first), {})
            self._decide_batch(self._ids[site_id, *of], batch, hours, outcome)
        self._take_receipts(parcel)
        answered = dict.fromkeys([*_named(parcel), *unnamed, *self._wanted(site_id)])
        named = {each: self._after[self._ids[site_id, *each]] for each in answered}
        brought = dict.fromkeys((batch.header.incarnation, batch.header.stream) for batch in parcel.batches)
        outcome.accounts = with_room(named, brought)
        return outcome

    def _claim(self, at: int, claim: Claim, held: RangeSet, statement: Statement) -> None:
        before, hours = self._after[at], dict(zip(claim.hours[::2], claim.hours[1::2], strict=True))
        after = self._after[at] = before.with_claim(claim, held, statement.incarnation, statement.number)
        if says_something_new(before, after, hours):
            self._claims.append(claim_row(at, after, hours, self._now_us))
            self._hours[at].tell(hours)

    def _unnamed(self, parcel: VerifiedParcel) -> list[tuple[bytes, str]]:
        """What is not settled and a whole statement does not claim: the site no longer has it, on a lost disk say."""
        if not _stating_all([parcel]):
            return []
        claimed = {(claim.incarnation, claim.stream) for claim, _ in parcel.claims}
        return [key[1:] for key in sorted(self._unsettled[parcel.site.id]) if key[1:] not in claimed]

    def _wanted(self, site_id: int) -> list[tuple[bytes, str]]:
        """Where something is wanted again: said in every answer, so that no damage waits for a whole statement."""
        return [each.key[1:] for each in self._damaged if each.key[0] == site_id]

    def _settle_damages(self) -> None:
        ended = ((each.id, self._outcome(each)) for each in self._damaged)
        settled = [(damage, outcome) for damage, outcome in ended if outcome is not None]
        damages.settle_damages(self._connection, settled, self._now_us)

    def _outcome(self, damage: OpenDamage) -> DamageOutcome | None:
        outcome = outcome_of(damage.damaged, self._after[self._ids[damage.key]])
        return DamageOutcome.LOST if outcome is None and damage.key in self._forgotten else outcome

    def _take_receipts(self, parcel: VerifiedParcel) -> None:
        by_account: dict[int, list[Receipt]] = defaultdict(list)
        for receipt in parcel.statement.receipts:
            by_account[self._ids[parcel.site.id, receipt.incarnation, receipt.stream]].append(receipt)
        for at, receipts in by_account.items():
            receipted = RangeSet.of(*((receipt.first, receipt.last) for receipt in receipts))
            if fits(self._after[at].receipted, receipted):
                for receipt in receipts:
                    self._take_receipt(at, receipt)

    def _take_receipt(self, at: int, receipt: Receipt) -> None:
        account, whole = self._after[at], RangeSet(((receipt.first, receipt.last),))
        fresh = whole - (account.stored - account.wanted) - account.receipted
        hours = dict(zip(receipt.hours[::2], receipt.hours[1::2], strict=True))
        shed = hours_of_part(hours, whole.count, fresh.count)
        if shed is None:
            self._hours[at].recount = True
        else:
            self._hours[at].shed_more(shed)
        self._after[at] = account.with_receipts(whole)
        self._receipts.append(_receipt_row(at, receipt, hours, self._now_us))

    def _decide_batch(self, at: int, batch: VerifiedBatch, hours: Hours, outcome: Outcome) -> None:
        first, last = batch.header.first, batch.header.last
        newcomer = StoredBatch(first, batch.header.count, batch.digest, batch.content_digest)
        known = self._known(at, first) if self._after[at].stored.clip(first, last) else []
        verdict = decide(self._after[at], newcomer, known)
        outcome.fates[verdict.fate] += 1
        if verdict.forked:
            outcome.forked.append(batch.digest)
        elif verdict.fate is Fate.SCATTERED:
            outcome.refusals.append(Refusal(batch.digest, Refused.OVER_LIMIT, verdict.why))
        else:
            outcome.taken.append(batch.digest)
        if verdict.forked and verdict.fate in (Fate.FORK, Fate.OVERLAP):
            # Of an overlapping batch, too: its bytes among the batches go once its rows are in the lake for long.
            self._forks.append(self._row(at, batch))
        if verdict.take:
            self._store(at, batch, hours, verdict)
            outcome.records += verdict.take.count

    def _store(self, at: int, batch: VerifiedBatch, hours: Hours, verdict: Verdict) -> None:
        header, partial, change = batch.header, verdict.fate is Fate.OVERLAP, self._hours[at]
        # What was given up and has come after all is not shed any more.
        change.recount |= bool(self._after[at].receipted and self._after[at].receipted & verdict.take)
        self._after[at] = self._after[at].with_stored(verdict.take)
        newcomer = StoredBatch(header.first, header.count, batch.digest, batch.content_digest, partial)
        self._added[at, header.first].append(newcomer)
        taken = hours_of_part(hours, header.count, verdict.take.count) or {}
        change.store(taken)
        take = pack_ranges(verdict.take) if partial else None
        of_what = {"content_digest": batch.content_digest, "take": take, "hours": pack_hours(taken)}
        self._batches.append(self._row(at, batch) | of_what)

    def _known(self, at: int, first: int) -> list[StoredBatch]:
        return [*inbox.starting_at(self._connection, at, first), *self._added[at, first]]

    def _row(self, at: int, batch: VerifiedBatch) -> dict[str, Any]:
        return {
            "account_id": at,
            "first": batch.header.first,
            "count": batch.header.count,
            "digest": batch.digest,
            "received_us": self._now_us,
            "raw": batch.raw,
        }

    def write(self, parcels: Sequence[VerifiedParcel]) -> None:
        """Write what was decided."""
        for parcel in parcels:
            inbox.add_epochs(self._connection, parcel.site.id, parcel.signer, parcel.epochs)
            inbox.add_dictionaries(self._connection, parcel.site.id, parcel.dictionaries)
        inbox.add_batches(self._connection, self._batches)
        inbox.add_forks(self._connection, self._forks)
        inbox.add_receipts(self._connection, self._receipts)
        add_claims(self._connection, self._claims)
        changed = {
            at: (before, self._after[at])
            for at, before in self._before.items()
            if before != self._after[at] or self._hours[at].days
        }
        save_with_hours(self._connection, changed, self._hours, self._now_us)
        self._settle_damages()
        heard = [_heard(parcel, self._now_us) for parcel in parcels]
        add_silences(self._connection, [*_silences(parcels, heard)])
        inbox.heard_from(self._connection, heard)


def _silences(parcels: Sequence[VerifiedParcel], heard: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The silences that these parcels have ended."""
    for parcel, row in zip(parcels, heard, strict=True):
        since_us = parcel.site.last_seen_us
        if since_us is not None and row["seen_us"] - since_us >= MIN_SILENCE_US:
            yield {"site_id": parcel.site.id, "since_us": since_us, "until_us": row["seen_us"]}


def _receipt_row(at: int, receipt: Receipt, hours: Hours, now_us: int) -> dict[str, Any]:
    stream, first, last = receipt.summary or (None, None, None)
    return {
        "account_id": at,
        "first": receipt.first,
        "last": receipt.last,
        "reason": receipt.reason.value,
        "detail": _text(receipt.detail),
        "at_us": receipt.at_us,
        "received_us": now_us,
        "summary_stream": stream,
        "summary_first": first,
        "summary_last": last,
        "hours": pack_hours(hours if sum(hours.values()) == receipt.last - receipt.first + 1 else None),
    }


def _heard(parcel: VerifiedParcel, now_us: int) -> dict[str, Any]:
    at_us, offset_us = parcel.statement.at_us, parcel.site.clock_offset_us
    seen_us = now_us
    if parcel.by_file:
        # Carried for days, perhaps: nothing is known of the site since it wrote the file.
        seen_us = min(now_us, at_us - (offset_us or 0))
    else:
        offset_us = at_us - now_us
    return {
        "site": parcel.site.id,
        "seen_us": seen_us,
        "clock_offset_us": offset_us,
        "agent_version": _text(parcel.statement.agent_version),
    }


def _text(text: str) -> str:
    """A text that both databases can hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
