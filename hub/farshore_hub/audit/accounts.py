"""Accounts held against the batches that back them, a site at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from farshore_hub.ledger.account import Account, Balance, balance
from farshore_hub.ledger.audit import Audit, audit
from farshore_hub.store import accounts
from farshore_hub.store import audit as store
from farshore_hub.store.audit import AccountRow
from farshore_hub.store.engine import writing
from farshore_hub.store.inbox import lock_sites


@dataclass(frozen=True, slots=True)
class HeldAgainst:
    """An account, and what is wrong with it."""

    row: AccountRow
    account: Account
    audited: Audit

    @property
    def miscounts(self) -> bool:
        """Whether the counts beside the account are not its balance."""
        stands = balance(self.account)
        return (stands.stored, stands.receipted) != (self.row.stored_count, self.row.receipted_count)


def held_against_batches(connection: Connection, site: int) -> Iterator[HeldAgainst]:
    """Every account of a site, with what its batches make of it."""
    taken = store.taken_by_account(connection, site)
    rows = list(store.read_account_rows(connection, site))
    found = accounts.open_existing(connection, {row.key for row in rows})
    for row in rows:
        account = found[row.key][1]
        yield HeldAgainst(row, account, audit(account, taken.get(row.id, [])))


def rebuild(engine: Engine, site: int, now_us: int) -> list[tuple[AccountRow, Balance]]:
    """Make the accounts of a site what their batches say, in one transaction; those that changed, as they are now.

    What nothing backs is wanted again from the site.
    """
    changed = []
    with writing(engine) as connection:
        lock_sites(connection, [site])
        for held in list(held_against_batches(connection, site)):
            rebuilt = held.audited.rebuilt
            if rebuilt != held.account or held.miscounts:
                store.replace_account(connection, held.row.key, rebuilt, now_us)
                changed.append((held.row, balance(rebuilt)))
    return changed
