"""What a statement of completeness is made from. Each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from farshore_hub.store.audit import AccountRow, taken_of
from farshore_hub.store.inbox import NOTHING_TAKEN
from farshore_hub.store.schema import accounts, batches, sites
from farshore_protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A batch that was stored in the period."""

    account: int
    first: int
    count: int
    taken: RangeSet
    content_digest: bytes


def received_batches(connection: Connection, site: str, from_us: int, to_us: int) -> list[ReceivedBatch]:
    """The batches of a site that were stored from one moment up to another, and still are."""
    b = batches.c
    query = select(b.account_id, b.first, b.count, b.take, b.content_digest)
    query = query.join(accounts, accounts.c.id == b.account_id).join(sites, sites.c.id == accounts.c.site_id)
    counts = or_(b.take.is_(None), b.take != NOTHING_TAKEN)
    rows = connection.execute(
        query.where(sites.c.name == site, b.received_us >= from_us, b.received_us < to_us, counts)
    )
    return [
        ReceivedBatch(at, first, count, taken_of(first, count, take), bytes(digest))
        for at, first, count, take, digest in rows
    ]


def accounts_of(connection: Connection, site: str, also: AbstractSet[int]) -> list[AccountRow]:
    """The accounts of a site of which something is not stored, and these others; by stream and incarnation."""
    own = (accounts.c.id, accounts.c.site_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = select(*own, accounts.c.stored_count, accounts.c.receipted_count, accounts.c.head)
    query = query.join_from(accounts, sites, sites.c.id == accounts.c.site_id).where(sites.c.name == site)
    return [
        AccountRow(at, site_id, name, bytes(life), stream, stored, receipted)
        for at, site_id, name, life, stream, stored, receipted, head in connection.execute(
            query.order_by(accounts.c.stream, accounts.c.id)
        )
        if at in also or head > stored
    ]
