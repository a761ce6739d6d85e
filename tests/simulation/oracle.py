"""The judge: compares what the hub has and the agents say with what really happened (`truth`)."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw

from farshore_agent.buffer.receipts import present
from farshore_agent.buffer.streams import all_streams
from farshore_hub.ledger.account import balance
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.store.accounts import open_accounts
from farshore_hub.store.days import unpack_day
from farshore_hub.store.engine import reading
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.simulation import obedience
from tests.simulation.disk import hub_engine
from tests.simulation.site import load_of
from tests.simulation.truth import Key, opened, taken

if TYPE_CHECKING:
    from tests.simulation.hub import SimHub
    from tests.simulation.site import SimSite
    from tests.simulation.world import World


@dataclass
class Ledger:
    """What the hub's database holds, read without the product's help except for opening what is sealed.

    Attributes:
        stored: the records' names by key and sequence.
        aside: names of records in batches or parts of batches that lost a fork.
    """

    stored: dict[Key, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    aside: set[str] = field(default_factory=set)
    receipts: list[tuple[Key, int, int, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- at every moment


def audit(world: World) -> Iterator[str]:
    """What does not hold now, and should at every moment."""
    for site in world.sites.values():
        yield from _audit_agent(site)
        yield from obedience.audit(site)
    if world.hub.is_up:
        yield from _audit_hub(world)


def _audit_agent(site: SimSite) -> Iterator[str]:
    """What an agent says that it holds is there, and what is given up has a receipt or had one."""
    if site.agent is None:
        return
    database = site.agent._buffer._store._database
    if database.connection.in_transaction:
        yield f"{site.name} left a transaction open"
    for row in all_streams(database):
        missing = row.held - present(database, row.id)
        if missing:
            yield f"{site.name}: {row.name} of {row.incarnation.hex()} says it holds {missing}, and does not"
        receipts = database.rows("receipts_of", row.id)
        unfinished = RangeSet.of(*((first, last) for _, first, last, state in receipts if state < 2))
        if unfinished - row.given_up:
            yield f"{site.name}: {row.name} has receipts for {unfinished - row.given_up}, which it has not given up"


def _audit_hub(world: World) -> Iterator[str]:
    """The accounts say what the batches are: every stored sequence once, and in the account."""
    yield from audit_hub(world.hub.looked_at())


def ignorance(hub: SimHub) -> Iterator[str]:
    """What the hub was told and does not know."""
    query = "SELECT s.name, a.incarnation, a.stream, a.head FROM accounts a JOIN sites s ON s.id = a.site_id"
    heads = {(site, life, stream): head for site, life, stream, head in hub.looked_at().execute(query)}
    for key, head in hub.known.items():
        if heads.get(key, 0) < head:
            yield f"{key}: the hub was told of {head} records and knows of {heads.get(key, 0)}"


def audit_hub(connection: sqlite3.Connection | apsw.Connection) -> Iterator[str]:
    """The accounts of a hub's database against its batches."""
    batches: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for account, first, count, take in connection.execute('SELECT account_id, first, "count", take FROM batches'):
        batches[account] += taken(first, count, take)
    accounts: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for account, first, last in connection.execute("SELECT account_id, first, last FROM intervals WHERE kind='stored'"):
        accounts[account].append((first, last))
    for account in batches.keys() | accounts.keys():
        stored = RangeSet.of(*batches[account])
        if sum(last - first + 1 for first, last in batches[account]) != stored.count:
            yield f"hub: account {account} stores a sequence twice: {sorted(batches[account])}"
        if stored != RangeSet.of(*accounts[account]):
            yield f"hub: account {account} says {RangeSet.of(*accounts[account])}, its batches are {stored}"


# -------------------------------------------------------------------- at the end


def is_idle(site: SimSite) -> bool:
    """Whether the agent has nothing left to deliver, by its own account."""
    if site.agent is None:
        return False
    status = site.agent._buffer._store.status()
    return not status.open_receipts and not any(stream.pending or stream.tail_records for stream in status.streams)


def standing(site: SimSite) -> str:
    """Why it is not."""
    if site.agent is None:
        return "not running"
    status, link = site.agent._buffer._store.status(), site.agent.delivery.report
    pending = [(stream.name, stream.pending, stream.held_back) for stream in status.streams if stream.pending]
    return f"pending {pending}, {status.open_receipts} open receipts; {link.state}, {link.doing}, {link.last_error}"


def judge(world: World, ledger: Ledger) -> Iterator[str]:
    """What is wrong when everything is drained; `ledger` is what the hub has by then."""
    yield from ledger.wrong
    yield from _content(world, ledger)
    yield from _promises(world, ledger)
    yield from _accounts(world)
    yield from _hours(world)
    yield from _receipts(world, ledger)


def read_ledger(world: World) -> Ledger:
    """Open everything that the hub has."""
    ledger = Ledger()
    opener = BatchOpener(hub_engine(), world.hub.keys)
    of = "JOIN accounts a ON a.id = b.account_id JOIN sites s ON s.id = a.site_id"
    with opened(world.hub.image(), "hub.db") as connection:
        ledger.wrong += audit_hub(connection)
        named = "s.name, a.incarnation, a.stream"
        for *key, first, count, take, raw in connection.execute(
            f'SELECT {named}, b.first, b."count", b.take, b.raw FROM batches b {of} ORDER BY b.id'
        ):
            _read(ledger, opener, (key[0], key[1], key[2]), first, RangeSet.of(*taken(first, count, take)), raw)
        for *key, first, raw in connection.execute(f"SELECT {named}, b.first, b.raw FROM forks b {of} ORDER BY b.id"):
            _read(ledger, opener, (key[0], key[1], key[2]), first, EMPTY, raw)
        for *key, first, last, reason in connection.execute(
            f"SELECT {named}, b.first, b.last, b.reason FROM receipts b {of} ORDER BY b.id"
        ):
            ledger.receipts.append(((key[0], key[1], key[2]), first, last, reason))
    return ledger


def _read(ledger: Ledger, opener: BatchOpener, key: Key, first: int, take: RangeSet, raw: bytes) -> None:
    stored = ledger.stored[key]
    is_companion = "." in key[2]
    for sequence, record in enumerate(opener.columns(key[0], raw).records(), first):
        name = f"{key[2]} {key[1].hex()} {sequence}" if is_companion else str(record.get("name"))
        load = str(record.get("load", ""))
        if not is_companion and load != load_of(name, len(load) // 2):
            ledger.wrong.append(f"{name} was changed on its way")
        if not take.covers(sequence, sequence):
            ledger.aside.add(name)
        elif sequence in stored:
            ledger.wrong.append(f"{key} has sequence {sequence} twice: {stored[sequence]} and {name}")
        else:
            stored[sequence] = name


def _content(world: World, ledger: Ledger) -> Iterator[str]:
    """Nothing is stored twice, and nothing that was never made."""
    seen: dict[str, Key] = {}
    for key, records in ledger.stored.items():
        if "." in key[2]:
            continue
        for name in records.values():
            if name in seen:
                yield f"{name} is stored twice: in {key} and in {seen[name]}"
            seen[name] = key
            if world.truth.made.get(name) != (key[0], key[2]):
                yield f"{name} is stored in {key[2]} of {key[0]}, and was never made there"
            if name in world.truth.refused:
                yield f"{name} is stored, and its producer was told that it is not"


def _promises(world: World, ledger: Ledger) -> Iterator[str]:
    """What was promised is stored, receipted, kept aside after a doubling, or was physically destroyed."""
    receipted: dict[Key, RangeSet] = defaultdict(lambda: EMPTY)
    for key, first, last, _ in ledger.receipts:
        receipted[key] |= RangeSet(((first, last),))
    for key, promises in world.truth.promised.items():
        for promise in promises:
            found = ledger.stored.get(key, {}).get(promise.sequence)
            if found is None:
                explained = receipted[key] | world.truth.excused.get(key, EMPTY)
            elif found != promise.name and world.truth.doubled:
                # Somebody else has the sequence: a receipt was for this one, or it went down with its disk.
                explained = receipted[key] | world.truth.risk.get(key, EMPTY)
            else:
                explained = EMPTY
            is_let_go = world.truth.asides_lost and world.plan.forgets
            aside = world.truth.doubled and (promise.name in ledger.aside or is_let_go)
            if found != promise.name and not aside and not explained.covers(promise.sequence, promise.sequence):
                yield f"{promise.name} was promised as {promise.sequence} of {key}, and there is {found}"


def _accounts(world: World) -> Iterator[str]:
    """The ledger balances, has nothing pending, and names no gap without a cause."""
    truth = world.truth
    with reading(hub_engine()) as connection:
        rows = connection.exec_driver_sql(
            "SELECT s.id, s.name, a.incarnation, a.stream FROM accounts a JOIN sites s ON s.id = a.site_id"
        ).all()
        found = open_accounts(connection, {(row[0], bytes(row[2]), row[3]) for row in rows})
    names = {row[0]: row[1] for row in rows}
    accounts = {(names[site], life, stream): account for (site, life, stream), (_, account) in found.items()}
    for key, account in accounts.items():
        stands = balance(account)
        excused = truth.excused.get(key, EMPTY)
        if stands.pending:
            yield f"{key}: {stands.pending} are pending, although everything is drained"
        if unexplained := stands.gaps - excused:
            yield f"{key}: {unexplained} are named as a gap, and nothing was destroyed there"


def _hours(world: World) -> Iterator[str]:
    """The hours of every account add up to it: what is stored, shed and nowhere, and all of it together."""
    with opened(world.hub.image(), "hub.db") as connection:
        uncounted: dict[int, int] = defaultdict(int)
        rows = connection.execute('SELECT account_id, first, "count", take FROM batches WHERE hours IS NULL')
        for at, first, count, take in rows:
            uncounted[at] += RangeSet.of(*taken(first, count, take)).count
        days: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for at, raw in connection.execute("SELECT account_id, counts FROM account_days"):
            day = unpack_day(raw)
            sums = (sum(day.known), sum(day.stored), sum(day.shed), sum(day.gap))
            days[at] = [one + other for one, other in zip(days[at], sums, strict=True)]
        columns = "id, head, stored_count, receipted_count, told_count"
        for at, head, stored, receipted, told in connection.execute(f"SELECT {columns} FROM accounts"):
            known, *counted = days[at]
            stands = [stored - uncounted[at], receipted, head - stored - receipted]
            if counted != stands:
                yield f"account {at} has stored, shed and lost {stands}, its hours say {counted}"
            if known != head and told == head:
                yield f"account {at} has produced {head}, its hours say {known}"


def _receipts(world: World, ledger: Ledger) -> Iterator[str]:
    """Records are given up only where the plan of this seed allows it."""
    plan, truth = world.plan, world.truth
    allowed = {
        Reason.EVICTED: bool(plan.buffer_bytes) or "agent's disk full" in plan.kinds,
        Reason.THINNED: bool(plan.buffer_bytes),
        Reason.EXPIRED: "short age" in plan.kinds,
        Reason.UNRETAINED: plan.forgets and "hub restored" in plan.kinds,
    }
    for key, first, last, reason in ledger.receipts:
        world.count(reason)
        is_gone = not (RangeSet(((first, last),)) - truth.risk.get(key, EMPTY))
        if not allowed.get(Reason(reason)) and not (reason == Reason.UNRETAINED and is_gone):
            yield f"{key}: {first}…{last} were given up as {reason}, for which this seed has no cause"


def digest(ledger: Ledger) -> Iterator[str]:
    """What the hub has, a line per account, for comparing runs."""
    for key, records in sorted(ledger.stored.items()):
        names = " ".join(f"{at}={name}" for at, name in sorted(records.items()))
        yield f"{key} {hashlib.sha256(names.encode()).hexdigest()}"
