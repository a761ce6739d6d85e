"""Which accounts one answer has room for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from farshore_hub.ledger.account import Account
from farshore_protocol.limits import MAX_ANSWER_RANGES, MAX_PARCEL_CLAIMS

Named = tuple[bytes, str]
"""Incarnation and stream."""


def with_room(
    accounts: Mapping[Named, Account],
    brought: Collection[Named],
    *,
    max_accounts: int = 2 * MAX_PARCEL_CLAIMS,
    max_ranges: int = MAX_ANSWER_RANGES,
) -> dict[Named, Account]:
    """The accounts that are answered, in the order in which they were given.

    An account is answered whole or not at all: of one that is left out the site keeps what it knew and asks again, but
    half an account would tell it that the hub has lost the rest. First come those of the batches that were brought, so
    that every exchange gets further, then those with the fewest ranges.
    """
    left = sorted((each for each in accounts if each not in brought), key=lambda each: _ranges(accounts[each]))
    taken: set[Named] = set()
    for named in [*(each for each in brought if each in accounts), *left][:max_accounts]:
        max_ranges -= _ranges(accounts[named])
        if max_ranges < 0:
            break
        taken.add(named)
    return {named: account for named, account in accounts.items() if named in taken}


def _ranges(account: Account) -> int:
    return len(account.stored.ranges) + len(account.receipted.ranges) + len(account.wanted.ranges)
