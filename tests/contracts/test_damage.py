"""Damage in the hub's store, on both databases: found, asked for again, stored once more; and every record counted."""

from __future__ import annotations

import threading

from sqlalchemy import select, update

from farshore_hub.doctor.database import about_batch, damaged_batches, look_at_ledger, repair
from farshore_hub.store.accounts import open_accounts, save_accounts
from farshore_hub.store.audit import want_again
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.inbox import active_sites
from farshore_hub.store.lake import release_quarantined
from farshore_hub.store.schema import accounts, batches, intervals
from farshore_protocol.messages import Reason, Receipt
from farshore_protocol.ranges import RangeSet
from farshore_shell.findings import Severity
from tests.contracts.hub_world import HubWorld


def spoil(hub: HubWorld, first: int) -> None:
    """Flip a bit of a stored batch."""
    with writing(hub.engine) as connection:
        raw = bytes(connection.scalar(select(batches.c.raw).where(batches.c.first == first)) or b"")
        changed = raw[:-3] + bytes((raw[-3] ^ 1,)) + raw[-2:]
        connection.execute(update(batches).where(batches.c.first == first).values(raw=changed))


def read_bytes(_count: int) -> None:
    """Nobody looks."""


def codes(hub: HubWorld) -> list[str]:
    return [finding.code for finding in look_at_ledger(hub.engine)]


async def test_a_sound_store_has_no_findings(hub: HubWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), site.batch(11, 5), head=15), "ship")
    assert damaged_batches(hub.engine, read_bytes) == []
    assert codes(hub) == []
    assert list(repair(hub.engine, [], 7)) == []


async def test_a_damaged_batch_is_asked_for_again_and_stored_once_more(hub: HubWorld) -> None:
    site = hub.add_site("ship")
    one, other = site.batch(1, 10), site.batch(11, 5)
    await hub.deliver(site.parcel(one, other, head=15), "ship")
    spoil(hub, 1)
    damaged = damaged_batches(hub.engine, read_bytes)
    [finding] = map(about_batch, damaged)
    assert finding.severity is Severity.LOST
    assert (finding.lost[0].site, finding.lost[0].ranges) == ("ship", [(1, 10)])
    assert list(repair(hub.engine, damaged, 7)) == ["asked ship for 10 record(s) of boiler again: 1…10"]
    assert hub.balances()["ship", "boiler"] == (15, 5, 0, 0, 10)
    answer = await hub.deliver(site.parcel(head=15, whole=True), "ship")
    assert answer.accounts[0].wanted == [1, 10]
    # A retry must not bring the damaged one back.
    with writing(hub.engine) as connection:
        assert release_quarantined(connection) == 0
    for _ in range(2):
        answer = await hub.deliver(site.parcel(one, head=15), "ship")
        assert answer.forked == []
    assert answer.accounts[0].wanted == []
    assert hub.balances()["ship", "boiler"] == (15, 15, 0, 0, 0)
    assert hub.stored("ship") == list(range(1, 16))
    assert damaged_batches(hub.engine, read_bytes) == []
    assert codes(hub) == []


async def test_what_the_site_no_longer_has_is_a_named_loss(hub: HubWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), head=10), "ship")
    spoil(hub, 1)
    list(repair(hub.engine, damaged_batches(hub.engine, read_bytes), 7))
    gone = Receipt(site.incarnation, "boiler", 1, 10, Reason.UNRETAINED, 5, "no longer kept")
    await hub.deliver(site.parcel(head=10, receipts=[gone]), "ship")
    assert hub.balances()["ship", "boiler"] == (10, 0, 10, 0, 0)
    assert codes(hub) == []


async def test_a_sound_batch_is_not_asked_for_again(hub: HubWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), head=10), "ship")
    with writing(hub.engine) as connection:
        at = connection.scalar(select(batches.c.id))
        assert at is not None
        assert not want_again(connection, at, 7)
    assert hub.balances()["ship", "boiler"] == (10, 10, 0, 0, 0)


async def test_a_repair_waits_for_a_parcel_that_is_committed_and_overwrites_nothing(hub: HubWorld) -> None:
    """On PostgreSQL a repair read the account, a parcel was committed, and the repair wrote what it had read."""
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), head=20), "ship")
    spoil(hub, 1)
    with reading(hub.engine) as connection:
        batch, account_id, site_id = connection.execute(
            select(batches.c.id, batches.c.account_id, accounts.c.site_id).join(accounts)
        ).one()

    def repair_it() -> None:
        with writing(hub.engine) as connection:
            want_again(connection, batch, 7)

    repairing = threading.Thread(target=repair_it)
    with writing(hub.engine) as connection:
        # As a parcel does it: the site is locked, then its accounts are read and written.
        active_sites(connection, [site_id])
        key = (site_id, site.incarnation, "boiler")
        before = open_accounts(connection, {key})[key][1]
        repairing.start()
        repairing.join(0.3)
        assert repairing.is_alive()
        save_accounts(connection, {account_id: (before, before.with_stored(RangeSet(((11, 20),))))}, 7)
    repairing.join()
    assert hub.balances()["ship", "boiler"] == (20, 10, 0, 0, 10)


async def test_a_ledger_that_lost_an_interval_or_miscounts_is_rebuilt_from_the_batches(hub: HubWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), site.batch(21, 5), head=25), "ship")
    with writing(hub.engine) as connection:
        connection.execute(update(intervals).where(intervals.c.first == 1).values(last=4))
        connection.execute(update(intervals).where(intervals.c.first == 21).values(last=25 + 5))
        connection.execute(update(accounts).values(stored_count=77))
    assert sorted(codes(hub)) == ["ledger-balance", "ledger-unbacked", "ledger-uncounted"]
    [done] = repair(hub.engine, [], 7)
    assert done == "counted ship/boiler anew: 15 stored, 0 receipted"
    assert codes(hub) == []
    with reading(hub.engine) as connection:
        assert connection.scalar(select(accounts.c.stored_count)) == 15
