"""`ledger rebuild`: makes the accounts and their hours again from their facts, compares, and writes what differs.

It takes a hundred accounts at a time, each hundred in a transaction of its own; the hub may be running meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine, delete, select

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.history import Projection, project
from farshore_hub.store.accounts import open_accounts, save_accounts
from farshore_hub.store.days import Day, day_rows, days_of_hours, unpack_day
from farshore_hub.store.dialect import upsert
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.facts import Owner, owners, read_facts
from farshore_hub.store.inbox import lock_sites
from farshore_hub.store.post_days import site_row
from farshore_hub.store.schema import account_days, accounts, site_days, sites

_SITES_PER_STEP: Final = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """What the ledger said of an account, or of a site's days, and its facts do not."""

    site: str
    stream: str
    incarnation: bytes
    what: str


def rebuild(engine: Engine, now_us: int, *, write: bool = True) -> list[Difference]:
    """Compare the whole ledger with its facts; and where it differs, make it what they say."""
    found: list[Difference] = []
    after = 0
    while some := _step(engine, after, now_us, found, write=write):
        after = some[-1].id
    with reading(engine) as connection:
        names = {row.id: row.name for row in connection.execute(select(sites.c.id, sites.c.name).order_by(sites.c.id))}
    ids = list(names)
    for start in range(0, len(ids), _SITES_PER_STEP):
        of = ids[start : start + _SITES_PER_STEP]
        with writing(engine) as connection:
            lock_sites(connection, of)
            differing = _differing_sites(connection, of, write=write)
        what = "the days of the site are not those of its streams"
        found += [Difference(names[site_id], "", b"", what) for site_id in differing]
    return found


def _step(engine: Engine, after: int, now_us: int, found: list[Difference], *, write: bool) -> list[Owner]:
    with writing(engine) as connection:
        some = owners(connection, after)
        lock_sites(connection, (each.site_id for each in some))
        facts = read_facts(connection, [each.id for each in some])
        opened = open_accounts(connection, {each.key for each in some})
        days = _days_of(connection, [each.id for each in some])
        for each in some:
            is_, made = (opened[each.key][1], days[each.id]), project(facts[each.id])
            what = _compared(connection, each.id, is_, made, now_us if write else None)
            if what:
                found.append(Difference(each.site, each.stream, each.incarnation, what))
    return some


def _compared(
    connection: Connection, at: int, is_: tuple[Account, dict[int, Day]], made: Projection, now_us: int | None
) -> str:
    """What differs, if anything; put right, unless there is no time given."""
    account, before = is_
    projected = replace(
        made.account,
        stated_by=account.stated_by,
        number=account.number,
        told=sum(made.produced.values()),
        placed=made.inferred,
    )
    days = days_of_hours(made.produced, made.stored, made.shed, made.gap)
    differing = [*_differing(account, projected), *(["hours"] if before != days else [])]
    if differing and now_us is not None:
        # Counts are written with whatever changes.
        save_accounts(connection, {at: (replace(account, number=-1), projected)}, now_us)
        connection.execute(delete(account_days).where(account_days.c.account_id == at))
        upsert(connection, account_days, day_rows(at, days), ["counts"])
    return ", ".join(differing)


def _differing(is_: Account, should: Account) -> Iterator[str]:
    one, other = balance(is_), balance(should)
    pairs = {
        "produced": (one.produced, other.produced),
        "stored": (is_.stored - is_.wanted, should.stored - should.wanted),
        "receipted": (is_.receipted, should.receipted),
        "pending": (one.pending, other.pending),
        "gaps": (one.gaps, other.gaps),
        "told": (is_.told, should.told),
        "closed": (is_.closed, should.closed),
    }
    return (name for name, (was, made) in pairs.items() if was != made)


def _days_of(connection: Connection, ids: Sequence[int]) -> dict[int, dict[int, Day]]:
    """By account, those of its days that have anything."""
    found: dict[int, dict[int, Day]] = {at: {} for at in ids}
    query = select(account_days.c.account_id, account_days.c.day, account_days.c.counts)
    for at, number, raw in connection.execute(query.where(account_days.c.account_id.in_(ids))):
        day = unpack_day(raw)
        if not day.is_empty():
            found[at][number] = day
    return found


def _differing_sites(connection: Connection, ids: Sequence[int], *, write: bool) -> list[int]:
    """The sites whose days are not the sums of their accounts' days; put right then."""
    sums: dict[int, dict[int, Day]] = {site_id: defaultdict(Day) for site_id in ids}
    of_account = accounts.c.id == account_days.c.account_id
    joined = select(accounts.c.site_id, account_days.c.day, account_days.c.counts)
    joined = joined.join_from(accounts, account_days, of_account).where(accounts.c.site_id.in_(ids))
    for site_id, number, raw in connection.execute(joined):
        sums[site_id][number].grow(unpack_day(raw), Day())
    found: dict[int, dict[int, tuple[Day, bytes]]] = {site_id: {} for site_id in ids}
    query = select(site_days.c.site_id, site_days.c.day, site_days.c.counts, site_days.c.states)
    for site_id, number, raw, states in connection.execute(query.where(site_days.c.site_id.in_(ids))):
        found[site_id][number] = unpack_day(raw), bytes(states)
    differing = [site_id for site_id in ids if _not_empty(found[site_id]) != _with_states(sums[site_id])]
    for site_id in differing if write else ():
        connection.execute(delete(site_days).where(site_days.c.site_id == site_id))
        rows = [site_row((site_id, number), day) for number, day in sums[site_id].items()]
        upsert(connection, site_days, rows, ["states", "produced", "stored", "counts"])
    return differing


def _with_states(days: Mapping[int, Day]) -> dict[int, tuple[Day, bytes]]:
    return _not_empty({number: (day, day.states()) for number, day in days.items()})


def _not_empty(days: Mapping[int, tuple[Day, bytes]]) -> dict[int, tuple[Day, bytes]]:
    return {number: of for number, of in days.items() if not of[0].is_empty()}
