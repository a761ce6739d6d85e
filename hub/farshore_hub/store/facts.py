"""The facts of the ledger, read some accounts at a time: so memory is bounded, however much has come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, select

from farshore_hub.ledger.account import balance
from farshore_hub.ledger.completeness import AccountRow
from farshore_hub.ledger.history import BatchFact, ClaimFact, Facts, ReceiptFact, account_of
from farshore_hub.ledger.placing import ReceiptHours
from farshore_hub.store.ranges import unpack_hours, unpack_ranges
from farshore_hub.store.schema import accounts, batches, claims, receipts, silences, sites

ACCOUNTS_PER_STEP: Final = 100

_BATCH: Final = tuple(
    batches.c[name] for name in ("account_id", "received_us", "first", "count", "take", "hours", "damaged_us")
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose account it is."""

    id: int
    site_id: int
    site: str
    incarnation: bytes
    stream: str

    @property
    def key(self) -> tuple[int, bytes, str]:
        """What it is found by."""
        return self.site_id, self.incarnation, self.stream


def owners(connection: Connection, after: int, asked: Sequence[ColumnElement[bool]] = ()) -> list[Owner]:
    """Some accounts, in the order of their ids."""
    query = select(accounts.c.id, accounts.c.site_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = query.join_from(accounts, sites, sites.c.id == accounts.c.site_id).where(accounts.c.id > after, *asked)
    rows = connection.execute(query.order_by(accounts.c.id).limit(ACCOUNTS_PER_STEP))
    return [Owner(at, site_id, site, bytes(life), stream) for at, site_id, site, life, stream in rows]


def read_facts(connection: Connection, ids: Sequence[int]) -> dict[int, Facts]:
    """The facts of accounts."""
    found = {at: Facts() for at in ids}
    own = (claims.c.account_id, claims.c.at_us, claims.c.head, claims.c.held, claims.c.oldest_us, claims.c.closed)
    said = select(*own, claims.c.hours).where(claims.c.account_id.in_(ids)).order_by(claims.c.id)
    for at, at_us, head, held, oldest_us, closed, hours in connection.execute(said):
        claim = ClaimFact(at_us, head, unpack_ranges(bytes(held)), oldest_us, closed, unpack_hours(hours))
        found[at].claims.append(claim)
    came = select(batches).where(batches.c.account_id.in_(ids)).with_only_columns(*_BATCH)
    for at, at_us, first, count, take, hours, damaged_us in connection.execute(came.order_by(batches.c.id)):
        taken = None if take is None else unpack_ranges(bytes(take))
        batch = BatchFact(at_us, first, first + count - 1, taken, unpack_hours(hours), damaged_us)
        found[at].batches.append(batch)
    given = select(receipts.c.account_id, receipts.c.received_us, receipts.c.first, receipts.c.last, receipts.c.hours)
    for at, at_us, first, last, hours in connection.execute(
        given.where(receipts.c.account_id.in_(ids)).order_by(receipts.c.id)
    ):
        found[at].receipts.append(ReceiptFact(at_us, ReceiptHours(first, last, unpack_hours(hours))))
    return found


def accounts_at(
    connection: Connection, at_us: int, site: str | None = None, stream: str | None = None
) -> Iterator[AccountRow]:
    """Where accounts stood at a time, by what was known then."""
    asked = [sites.c.name == site] if site is not None else []
    if stream is not None:
        asked.append(accounts.c.stream.in_([stream, f"{stream}.quarantine"]))
    heard = _heard_at(connection, at_us)
    after = 0
    while some := owners(connection, after, asked):
        facts = read_facts(connection, [each.id for each in some])
        for each in some:
            known = facts[each.id].until(at_us)
            if known.claims or known.batches or known.receipts:
                account = account_of(known)
                heard_us, revoked = heard[each.site_id]
                own = (each.incarnation, account.oldest_us)
                yield AccountRow(each.site, each.stream, balance(account), heard_us, revoked, *own)
        after = some[-1].id


def _heard_at(connection: Connection, at_us: int) -> dict[int, tuple[int | None, bool]]:
    """By site when it had been heard last, and whether it was revoked then; to within the shortest silence."""
    found: dict[int, tuple[int | None, bool]] = {}
    for site_id, seen_us, revoked_us in connection.execute(
        select(sites.c.id, sites.c.last_seen_us, sites.c.revoked_us)
    ):
        heard_us = None if seen_us is None else min(seen_us, at_us)
        found[site_id] = (heard_us, revoked_us is not None and revoked_us <= at_us)
    silent = select(silences.c.site_id, silences.c.since_us)
    rows = connection.execute(silent.where(silences.c.since_us <= at_us, silences.c.until_us > at_us))
    return found | {site_id: (since_us, found[site_id][1]) for site_id, since_us in rows}
