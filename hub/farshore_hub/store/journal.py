"""The journal: what sites said and when, and when nothing was heard of them. Rows are added; old ones are thinned.

With batches and receipts, which tell when they came, it has all that the ledger is made of: see `ledger.history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, insert

from farshore_hub.ledger.account import Account
from farshore_hub.store.dialect import insert_missing
from farshore_hub.store.ranges import pack_hours, pack_ranges
from farshore_hub.store.schema import claims, silences
from farshore_protocol.hours import Hours

MIN_SILENCE_US: Final = 600_000_000
"""A site that was not heard for ten minutes was silent; agents speak every few minutes, whatever they have to say."""

Rows = Sequence[dict[str, Any]]


def claim_row(account_id: int, after: Account, hours: Hours, now_us: int) -> dict[str, Any]:
    """What a claim has made of an account, and the hours that it told."""
    return {
        "account_id": account_id,
        "at_us": now_us,
        "stated_by": after.stated_by,
        "number": after.number,
        "head": after.head,
        "held": pack_ranges(after.held),
        "oldest_us": after.oldest_us,
        "closed": after.closed,
        "hours": pack_hours(hours),
    }


def says_something_new(before: Account, after: Account, hours: Hours) -> bool:
    """Whether a claim belongs into the journal."""
    if hours or before.head != after.head or before.held != after.held:
        return True
    return before.oldest_us != after.oldest_us or before.closed != after.closed


def add_claims(connection: Connection, rows: Rows) -> None:
    """Note claims, in their order."""
    if rows:
        connection.execute(insert(claims), rows)


def add_silences(connection: Connection, rows: Rows) -> None:
    """Note silences: `site_id`, `since_us`, `until_us`."""
    insert_missing(connection, silences, rows)
