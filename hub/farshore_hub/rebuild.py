"""`ledger rebuild`: makes the accounts and their hours again from their facts, compares, and writes what differs.

It takes a hundred accounts at a time, each hundred in a transaction of its own; the hub may be running meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, delete, select

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.history import Facts, project
from farshore_hub.store.accounts import open_accounts, save_accounts
from farshore_hub.store.days import Day, day_rows, days_of_hours, unpack_day
from farshore_hub.store.dialect import upsert
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.facts import Owner, owners, read_facts
from farshore_hub.store.inbox import lock_sites
from farshore_hub.store.post_days import site_row
from farshore_hub.store.schema import account_days, accounts, site_days, sites


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
        names = {row.id: row.name for row in connection.execute(select(sites.c.id, sites.c.name))}
    for site_id, name in names.items():
        with writing(engine) as connection:
            lock_sites(connection, [site_id])
            if _site_differs(connection, site_id, write=write):
                found.append(Difference(name, "", b"", "the days of the site are not those of its streams"))
    return found


def _step(engine: Engine, after: int, now_us: int, found: list[Difference], *, write: bool) -> list[Owner]:
    with writing(engine) as connection:
        some = owners(connection, after)
        lock_sites(connection, (each.site_id for each in some))
        facts = read_facts(connection, [each.id for each in some])
        opened = open_accounts(connection, {each.key for each in some})
        for each in some:
            what = _compared(connection, each, opened[each.key][1], facts[each.id], now_us if write else None)
            if what:
                found.append(Difference(each.site, each.stream, each.incarnation, what))
    return some


def _compared(connection: Connection, owner: Owner, account: Account, facts: Facts, now_us: int | None) -> str:
    """What differs, if anything; put right, unless there is no time given."""
    made = project(facts)
    projected = replace(
        made.account,
        stated_by=account.stated_by,
        number=account.number,
        told=sum(made.produced.values()),
        placed=made.inferred,
    )
    days = days_of_hours(made.produced, made.stored, made.shed, made.gap)
    before = _days_of(connection, owner.id)
    differing = [*_differing(account, projected), *(["hours"] if before != days else [])]
    if differing and now_us is not None:
        # Counts are written with whatever changes.
        save_accounts(connection, {owner.id: (replace(account, number=-1), projected)}, now_us)
        connection.execute(delete(account_days).where(account_days.c.account_id == owner.id))
        upsert(connection, account_days, day_rows(owner.id, days), ["counts"])
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


def _days_of(connection: Connection, account: int) -> dict[int, Day]:
    query = select(account_days.c.day, account_days.c.counts).where(account_days.c.account_id == account)
    return _not_empty({number: unpack_day(raw) for number, raw in connection.execute(query)})


def _not_empty(days: Mapping[int, Day]) -> dict[int, Day]:
    return {number: day for number, day in days.items() if not day.is_empty()}


def _site_differs(connection: Connection, site_id: int, *, write: bool) -> bool:
    """Whether a site's days are not the sums of its accounts' days; put right then."""
    sums: dict[int, Day] = defaultdict(Day)
    of_account = accounts.c.id == account_days.c.account_id
    joined = select(account_days.c.day, account_days.c.counts).join_from(account_days, accounts, of_account)
    for number, raw in connection.execute(joined.where(accounts.c.site_id == site_id)):
        sums[number].grow(unpack_day(raw), Day())
    query = select(site_days.c.day, site_days.c.counts).where(site_days.c.site_id == site_id)
    found = {number: unpack_day(raw) for number, raw in connection.execute(query)}
    differs = _not_empty(sums) != _not_empty(found)
    if differs and write:
        connection.execute(delete(site_days).where(site_days.c.site_id == site_id))
        rows = [site_row((site_id, number), day) for number, day in sums.items()]
        upsert(connection, site_days, rows, ["states", "produced", "stored", "counts"])
    return differs
