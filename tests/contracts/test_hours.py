"""The ledger by the hour on both databases: two counts that were made apart, and what becomes of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from farshore_hub.ledger.hours import HourCounts, HourState
from farshore_hub.rebuild import rebuild
from farshore_hub.store.audit import want_again
from farshore_hub.store.days import read_fleet, read_site_hours, score
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.facts import accounts_at
from farshore_hub.store.schema import account_days, batches, intervals, site_days
from farshore_protocol.errors import Malformed
from farshore_protocol.hours import HOUR_US
from farshore_protocol.messages import Claim, Receipt
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import FakeSite, HubWorld

HOUR = 498_732
"""An hour of 2026."""

HOURS = range(HOUR - 24, HOUR + 48)


def told(site: FakeSite, head: int, held: RangeSet | None = None, **facts: Any) -> Claim:  # noqa: ANN401
    return Claim(site.incarnation, "boiler", head, (held or RangeSet()).to_wire(), **facts)


def by_hour(hub: HubWorld) -> dict[int, HourCounts]:
    with reading(hub.engine) as connection:
        return {hour: counts for (_, hour), counts in read_site_hours(connection, 1, HOURS).counts.items()}


def states(hub: HubWorld) -> list[int]:
    with reading(hub.engine) as connection:
        return list(read_fleet(connection, HOURS, "", 10, 0)[0].states)


async def test_an_hour_is_complete_when_all_that_was_produced_in_it_is_stored(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    hours = [HOUR, 6, HOUR + 1, 4]
    first = told(site, 10, RangeSet.of((1, 10)), hours=hours)
    await hub.deliver(site.parcel(claims=[first]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(6), HOUR + 1: HourCounts(4)}
    both = told(site, 10, RangeSet.of((1, 10)), sealed=[(1, hours)])
    await hub.deliver(site.parcel(site.batch(1, 10), claims=[both]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(6, 6), HOUR + 1: HourCounts(4, 4)}
    assert {by_hour(hub)[hour].state for hour in (HOUR, HOUR + 1)} == {HourState.COMPLETE}
    with reading(hub.engine) as connection:
        assert score(connection, HOUR // 24 - 1, HOUR // 24 + 1) == (10, 10)


async def test_what_is_delivered_or_told_twice_is_counted_once(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    claim = told(site, 10, RangeSet.of((1, 10)), hours=[HOUR, 10], sealed=[(1, [HOUR, 10])])
    parcel = site.parcel(site.batch(1, 10), claims=[claim])
    for _ in range(3):
        await hub.deliver(parcel, "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(10, 10)}


async def test_a_receipt_tells_its_hours_and_a_gap_is_where_so_many_are_missing(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    hours = [HOUR, 10, HOUR + 1, 10, HOUR + 2, 10]
    claim = told(site, 30, hours=hours, sealed=[(1, [HOUR, 5]), (16, [HOUR + 1, 5, HOUR + 2, 10])])
    receipt = _receipt(site, 6, 10, HOUR, 5)
    parcel = site.parcel(site.batch(1, 5), site.batch(16, 15), claims=[claim], receipts=[receipt])
    await hub.deliver(parcel, "ship-1")
    assert by_hour(hub) == {
        HOUR: HourCounts(10, 5, shed=5),
        HOUR + 1: HourCounts(10, 5, gap=5),
        HOUR + 2: HourCounts(10, 10),
    }
    assert hub.balances()["ship-1", "boiler"] == (30, 20, 5, 0, 5)
    found = states(hub)[24:27]
    assert [list(HourState)[each] for each in found] == [HourState.SHED, HourState.GAP, HourState.COMPLETE]


async def test_a_receipt_that_does_not_tell_its_hours_is_placed_where_records_are_missing(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    claim = told(site, 15, hours=[HOUR, 8, HOUR + 1, 7], sealed=[(1, [HOUR, 5]), (11, [HOUR + 1, 5])])
    receipt = _receipt(site, 6, 10)
    parcel = site.parcel(site.batch(1, 5), site.batch(11, 5), claims=[claim], receipts=[receipt])
    await hub.deliver(parcel, "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(8, 5, shed=3), HOUR + 1: HourCounts(7, 5, shed=2)}


async def test_a_site_that_never_tells_hours_has_a_gap_between_its_neighbours(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    claim = told(site, 15, sealed=[(1, [HOUR, 5]), (11, [HOUR, 5])])
    await hub.deliver(site.parcel(site.batch(1, 5), site.batch(11, 5), claims=[claim]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(15, 10, gap=5)}


async def test_what_was_given_up_and_comes_after_all_is_stored_and_not_shed(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    receipt = _receipt(site, 1, 10, HOUR, 10)
    await hub.deliver(site.parcel(claims=[told(site, 10, hours=[HOUR, 10])], receipts=[receipt]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(10, shed=10)}
    late = told(site, 10, sealed=[(1, [HOUR, 10])])
    await hub.deliver(site.parcel(site.batch(1, 10), claims=[late]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(10, 10)}


async def test_a_batch_that_is_found_damaged_is_a_gap_of_its_hours_until_it_is_there_again(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    claim = told(site, 10, hours=[HOUR, 10], sealed=[(1, [HOUR, 10])])
    parcel = site.parcel(site.batch(1, 10), claims=[claim])
    await hub.deliver(parcel, "ship-1")
    with writing(hub.engine) as connection:
        connection.execute(batches.update().values(raw=b"rotten"))
        assert want_again(connection, 1, hub.clock.now_us())
    assert by_hour(hub) == {HOUR: HourCounts(10, gap=10)}
    await hub.deliver(site.parcel(site.batch(1, 10), claims=[claim]), "ship-1")
    assert by_hour(hub) == {HOUR: HourCounts(10, 10)}


async def test_hours_that_make_no_sense_refuse_the_parcel(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    for hours in ([HOUR], [HOUR, 0], [HOUR, 1, HOUR, 1], [5, 1]):
        with pytest.raises(Malformed, match="hour"):
            await hub.deliver(site.parcel(claims=[told(site, 10, hours=hours)]), "ship-1")


async def test_the_ledger_made_again_from_its_facts_is_the_same(hub: HubWorld) -> None:
    site = await _eventful(hub)
    assert rebuild(hub.engine, hub.clock.now_us()) == []
    with writing(hub.engine) as connection:
        connection.execute(intervals.delete())
        connection.execute(account_days.delete())
        connection.execute(site_days.delete())
    before = {"intervals": hub.balances(), "hours": by_hour(hub)}
    differences = rebuild(hub.engine, hub.clock.now_us(), write=False)
    assert {each.stream for each in differences} == {"boiler"}
    assert {"intervals": hub.balances(), "hours": by_hour(hub)} == before
    assert len(rebuild(hub.engine, hub.clock.now_us())) == 2
    assert rebuild(hub.engine, hub.clock.now_us()) == []
    assert hub.balances()[site.name, "boiler"] == (30, 15, 5, 0, 10)
    assert by_hour(hub) == EVENTFUL


async def test_what_was_known_at_a_time_can_be_asked_for_later(hub: HubWorld) -> None:
    began_us = hub.clock.at_us
    await _eventful(hub)
    stood = [(0, (30, 20, 5, 0, 5)), (HOUR_US - 1, (30, 20, 5, 0, 5)), (HOUR_US, (30, 15, 5, 0, 10))]
    for after_us, expected in stood:
        with reading(hub.engine) as connection:
            [row] = accounts_at(connection, began_us + after_us)
        of = row.stands
        assert (of.produced, of.stored, of.receipted, of.pending, of.gap) == expected
    with reading(hub.engine) as connection:
        assert list(accounts_at(connection, began_us - 1)) == []


async def test_a_site_that_was_silent_at_a_time_is_so_when_it_is_asked_for_later(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    began_us = hub.clock.at_us
    for _ in range(2):
        await hub.deliver(site.parcel(claims=[told(site, 10, RangeSet.of((1, 10)), hours=[HOUR, 10])]), "ship-1")
        hub.clock.at_us += 2 * HOUR_US
    with reading(hub.engine) as connection:
        [then] = accounts_at(connection, began_us + HOUR_US)
        [later] = accounts_at(connection, began_us + 2 * HOUR_US)
    assert (then.heard_us, later.heard_us) == (began_us, began_us + 2 * HOUR_US)


EVENTFUL = {
    HOUR: HourCounts(10, 0, shed=5, gap=5),
    HOUR + 1: HourCounts(10, 5, gap=5),
    HOUR + 2: HourCounts(10, 10),
}


async def _eventful(hub: HubWorld) -> FakeSite:
    """A stream with a gap, a receipt, and an hour later a damaged batch; `EVENTFUL` has its hours."""
    site = hub.add_site("ship-1")
    hours = [HOUR, 10, HOUR + 1, 10, HOUR + 2, 10]
    claim = told(site, 30, hours=hours, sealed=[(1, [HOUR, 5]), (16, [HOUR + 1, 5, HOUR + 2, 10])])
    parcel = site.parcel(
        site.batch(1, 5), site.batch(16, 15), claims=[claim], receipts=[_receipt(site, 6, 10, HOUR, 5)]
    )
    await hub.deliver(parcel, "ship-1")
    hub.clock.at_us += HOUR_US
    with writing(hub.engine) as connection:
        connection.execute(batches.update().where(batches.c.first == 1).values(raw=b"rotten"))
        assert want_again(connection, 1, hub.clock.now_us())
    return site


def _receipt(site: FakeSite, first: int, last: int, *hours: int) -> Receipt:
    return msgspec.structs.replace(site.receipt(first, last), hours=list(hours))
