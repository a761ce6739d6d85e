"""What losses are told from: accounts where something is not stored, with their receipts and damages.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, or_, select

from farshore_hub.ledger.account import Account
from farshore_hub.ledger.damage import Outcome
from farshore_hub.ledger.losses import Damage, GivenUp
from farshore_hub.store.accounts import AccountKey, open_existing
from farshore_hub.store.schema import accounts, damages, receipts, sites
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import RangeSet

ACCOUNTS_PER_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class Incomplete:
    """An account where something may not be stored."""

    site: str
    incarnation: bytes
    stream: str
    account: Account
    receipts: Sequence[GivenUp]
    damages: Sequence[Damage]


def incomplete_accounts(
    connection: Connection, site: str | None = None, stream: str | None = None
) -> Iterator[Incomplete]:
    """The accounts of which not every record is stored, by site, stream and incarnation."""
    incomplete = or_(accounts.c.receipted_count > 0, accounts.c.head > accounts.c.stored_count)
    query = select(accounts.c.id, accounts.c.site_id, sites.c.name, accounts.c.incarnation, accounts.c.stream)
    query = query.join(sites, sites.c.id == accounts.c.site_id).where(incomplete)
    asked: list[ColumnElement[bool]] = [] if site is None else [sites.c.name == site]
    if stream is not None:
        asked.append(accounts.c.stream == stream)
    rows = connection.execute(query.where(*asked).order_by(sites.c.name, accounts.c.stream, accounts.c.id)).all()
    for start in range(0, len(rows), ACCOUNTS_PER_STEP):
        some = rows[start : start + ACCOUNTS_PER_STEP]
        keys: dict[int, AccountKey] = {row.id: (row.site_id, bytes(row.incarnation), row.stream) for row in some}
        found = open_existing(connection, set(keys.values()))
        given_up, damaged = receipts_of(connection, list(keys)), damages_of(connection, list(keys))
        for row in some:
            key = keys[row.id]
            yield Incomplete(row.name, *key[1:], found[key][1], given_up[row.id], damaged[row.id])


def receipts_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[GivenUp]]:
    """The receipts of accounts, the oldest first."""
    columns = (receipts.c.account_id, receipts.c.first, receipts.c.last, receipts.c.reason)
    query = select(*columns, receipts.c.at_us, receipts.c.detail).where(receipts.c.account_id.in_(ids))
    found: dict[int, list[GivenUp]] = defaultdict(list)
    for at, first, last, reason, at_us, detail in connection.execute(query.order_by(receipts.c.id)):
        found[at].append(GivenUp(RangeSet(((first, last),)), Reason(reason), at_us, detail))
    return found


def damages_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[Damage]]:
    """The damages of accounts, the newest first."""
    columns = (damages.c.account_id, damages.c.first, damages.c.last, damages.c.found_us, damages.c.outcome)
    query = select(*columns).where(damages.c.account_id.in_(ids)).order_by(damages.c.id.desc())
    found: dict[int, list[Damage]] = defaultdict(list)
    for at, first, last, found_us, outcome in connection.execute(query):
        ended = None if outcome is None else Outcome(outcome)
        found[at].append(Damage(RangeSet(((first, last),)), found_us, ended))
    return found
