"""Up to where each account is complete, and up to where backups have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlalchemy import Connection, bindparam, select, update

from farshore_hub.ledger.account import Account, watermark
from farshore_hub.store.schema import accounts, intervals, sites
from farshore_protocol.ranges import RangeSet

Archived = tuple[str, bytes, str, int]
"""Site, incarnation, stream, and up to which sequence."""


def watermarks(connection: Connection) -> Iterator[Archived]:
    """Of every account that has any: up to which sequence everything is stored or receipted."""
    named = (sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = select(accounts.c.id, *named, intervals.c.kind, intervals.c.first, intervals.c.last)
    query = query.join_from(accounts, sites, sites.c.id == accounts.c.site_id)
    query = query.join(intervals, intervals.c.account_id == accounts.c.id)
    rows = connection.execution_options(yield_per=10_000).execute(
        query.order_by(accounts.c.id, intervals.c.kind, intervals.c.first)
    )
    for (_, site, incarnation, stream), ranges in groupby(rows, lambda row: row[:4]):
        kinds = defaultdict[str, list[tuple[int, int]]](list)
        for row in ranges:
            kinds[row.kind].append((row.first, row.last))
        stored, receipted, wanted = (RangeSet(tuple(kinds[kind])) for kind in ("stored", "receipted", "wanted"))
        upto = watermark(Account(stored, receipted, wanted))
        if upto:
            yield site, bytes(incarnation), stream, upto


def archive(connection: Connection, marks: Sequence[Archived]) -> None:
    """Note what backups have. Accounts that are not there any more are left out."""
    site = select(sites.c.id).where(sites.c.name == bindparam("site")).scalar_subquery()
    account = (accounts.c.site_id == site, accounts.c.incarnation == bindparam("life"))
    change = update(accounts).where(*account, accounts.c.stream == bindparam("of_stream"))
    rows = [{"site": site, "life": life, "of_stream": stream, "upto": upto} for site, life, stream, upto in marks]
    if rows:
        connection.execute(change.values(archived=bindparam("upto")), rows)
