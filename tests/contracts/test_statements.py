"""What the ledger makes of what sites say, in whatever order and by whatever link it comes."""

from __future__ import annotations

import asyncio

from sqlalchemy import event, select

from farshore_hub.ledger.completeness import Gap, State
from farshore_hub.store.engine import open_engine, reading
from farshore_hub.store.fleet import find_site
from farshore_hub.store.schema import batches
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld

LATER_LIFE = b"life-two"
DAY_US = 86_400 * 1_000_000


async def test_what_a_lost_disk_held_is_a_gap_as_soon_as_the_site_states_everything(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 5), head=10, held=RangeSet.of((6, 10))), "ship-1")
    answer = await hub.deliver(site.parcel(incarnation=LATER_LIFE, number=1, whole=True), "ship-1")
    (line,) = hub.completeness()
    assert (line.pending, line.gaps) == (0, [Gap(site.incarnation, "boiler", 6, 10)])
    assert [each.stored for each in answer.accounts] == [[1, 5]]


async def test_what_a_whole_statement_claims_stays_pending(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(claims=[site.claim(10, (1, 10)), site.claim(4, (1, 4), stream="pump")]), "ship-1")
    await hub.deliver(site.parcel(claims=[site.claim(10, (1, 10))], whole=True), "ship-1")
    assert [(line.stream, line.pending, line.gap) for line in hub.completeness()] == [("boiler", 10, 0), ("pump", 0, 4)]


async def test_a_whole_statement_in_a_file_says_nothing_about_now(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(head=10, held=RangeSet.of((1, 10))), "ship-1")
    await hub.deliver(site.parcel(incarnation=LATER_LIFE, number=1, whole=True), None)
    assert hub.balances()["ship-1", "boiler"] == (10, 0, 0, 10, 0)


async def test_a_late_statement_of_an_ended_life_does_not_override_its_successors(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    late = site.parcel(claims=[site.claim(12, (1, 10))])
    await hub.deliver(site.parcel(claims=[site.claim(10, (1, 10))]), "ship-1")
    restated = [site.claim(10, (1, 4), closed=True)]
    await hub.deliver(site.parcel(claims=restated, incarnation=LATER_LIFE, number=1), "ship-1")
    await hub.deliver(late, None)
    assert hub.balances()["ship-1", "boiler"] == (12, 0, 0, 4, 8)


async def test_a_file_tells_of_the_time_when_it_was_written(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    written_us = hub.clock.at_us
    parcel = site.parcel(site.batch(1, 3), head=3, at_us=written_us)
    hub.clock.at_us += 30 * DAY_US
    await hub.deliver(parcel, None)
    (line,) = hub.completeness(silent_after_us=DAY_US)
    assert (line.state, line.heard_us) == (State.UNKNOWN, written_us)
    with reading(hub.engine) as connection:
        found = find_site(connection, "ship-1")
    assert found is not None
    assert found.clock_offset_us is None


async def test_a_file_never_makes_a_site_look_silent_that_was_heard_since(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    old = site.parcel(site.batch(1, 3), at_us=hub.clock.at_us - DAY_US)
    await hub.deliver(site.parcel(head=3), "ship-1")
    await hub.deliver(old, None)
    (line,) = hub.completeness(silent_after_us=DAY_US // 2)
    assert (line.state, line.heard_us) == (State.COMPLETE, hub.clock.at_us)


async def test_an_overlap_is_reported_until_the_agent_knows(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 5)), "ship-1")
    other = site.batch(3, 6, says="something else")
    for _ in range(2):
        answer = await hub.deliver(site.parcel(other), "ship-1")
        assert answer.forked == [other.digest]
    assert hub.stored("ship-1") == list(range(1, 9))


async def test_completeness_shows_one_moment_and_no_gap_that_never_was(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 50), head=100, held=RangeSet.of((51, 100))), "ship-1")
    meanwhile = site.parcel(site.batch(151, 50), head=200, held=RangeSet.of((51, 150)))
    other_engine = open_engine(hub.url)
    other = hub.another_receiver(other_engine, threads=True)
    loop = asyncio.get_running_loop()
    delivered: list[bytes] = []

    def deliver_between(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM accounts" in statement and not delivered:
            delivered.append(asyncio.run_coroutine_threadsafe(other.receive(meanwhile, "ship-1"), loop).result())

    event.listen(hub.engine, "after_cursor_execute", deliver_between)
    (line,) = await asyncio.to_thread(hub.completeness)
    event.remove(hub.engine, "after_cursor_execute", deliver_between)
    other_engine.dispose()
    assert delivered
    assert (line.produced, line.stored, line.pending, line.gap) == (100, 50, 50, 0)
    with reading(hub.engine) as connection:
        assert len(connection.execute(select(batches.c.id)).all()) == 2
