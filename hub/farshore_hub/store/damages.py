"""Damages: records whose stored copy was found damaged, from then until they are stored again or given up.

Each function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from farshore_hub.ledger.damage import Cause, Outcome
from farshore_hub.store.accounts import AccountKey
from farshore_hub.store.schema import accounts, damages
from farshore_protocol.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class OpenDamage:
    """A damage that is neither healed nor lost yet, and the account that it is in."""

    id: int
    key: AccountKey
    damaged: RangeSet


@dataclass(frozen=True, slots=True)
class Tally:
    """How many damages there were, how many records, how many sealed bytes; by outcome, "open" for those that last."""

    outcome: str
    damages: int
    records: int
    size: int


def add_damages(
    connection: Connection, owner: tuple[int, int], damaged: RangeSet, cause: Cause, size: int, now_us: int
) -> None:
    """Note what is wanted again of an account, given with its site as ids; a row for each range."""
    site_id, account_id = owner
    of = {"site_id": site_id, "account_id": account_id, "cause": cause, "found_us": now_us}
    total = damaged.count
    rows = [{**of, "first": first, "last": last, "size": size * (last - first + 1) // total} for first, last in damaged]
    if rows:
        connection.execute(insert(damages), rows)


_OPEN: Final = (
    select(damages.c.id, damages.c.first, damages.c.last, accounts.c.site_id, accounts.c.incarnation, accounts.c.stream)
    .join_from(damages, accounts, accounts.c.id == damages.c.account_id)
    .where(damages.c.site_id.in_(bindparam("sites", expanding=True)), damages.c.settled_us.is_(None))
    .order_by(damages.c.id)
)


def open_damages(connection: Connection, site_ids: Iterable[int]) -> list[OpenDamage]:
    """What is still wanted of these sites, oldest first."""
    return [_open(row) for row in connection.execute(_OPEN, {"sites": sorted(set(site_ids))})]


def _open(row: Any) -> OpenDamage:  # noqa: ANN401 - a row of that query
    key = row.site_id, bytes(row.incarnation), row.stream
    return OpenDamage(row.id, key, RangeSet(((row.first, row.last),)))


def settle_damages(connection: Connection, settled: Sequence[tuple[int, Outcome]], now_us: int) -> None:
    """Note how damages ended."""
    rows = [{"damage": damage, "ended": outcome} for damage, outcome in settled]
    if rows:
        one = update(damages).where(damages.c.id == bindparam("damage"))
        connection.execute(one.values(settled_us=now_us, outcome=bindparam("ended")), rows)


def tally(connection: Connection) -> list[Tally]:
    """All damages there were, by outcome."""
    sums = (func.count(), func.sum(damages.c.last - damages.c.first + 1), func.sum(damages.c.size))
    rows = connection.execute(select(damages.c.outcome, *sums).group_by(damages.c.outcome))
    return [Tally(outcome or "open", count, int(records), int(size)) for outcome, count, records, size in rows]
