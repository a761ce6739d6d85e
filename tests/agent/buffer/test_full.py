"""A full buffer: what is refused, what goes, in which order, and that a receipt says so."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from farshore_agent.buffer import Buffer, read_status
from farshore_agent.errors import BufferFull
from farshore_agent.settings import StreamSettings, WhenFull
from farshore_protocol.messages import Reason
from tests.agent.buffer.world import EVICT, MIB, THIN, FakeHub, World, admitted, drain, policies

NOISE = random.Random(7)
PER_APPEND = 50


def noisy(count: int) -> list[dict[str, object]]:
    """Records that do not become small; two kilobytes each."""
    return [{"ts": 1_795_435_200, "temp": float(n), "noise": NOISE.randbytes(2_000)} for n in range(count)]


async def fill(buffer: Buffer, stream: str, *, appends: int = 120) -> int:
    """Append until the buffer refuses; how many records it took."""
    taken = 0
    for _ in range(appends):
        try:
            answer = await buffer.append(stream, admitted(noisy(PER_APPEND)))
            taken += answer.last - answer.first + 1
        except BufferFull:
            break
    return taken


async def test_refuse_keeps_what_it_has_and_goes_on_when_there_is_room(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    taken = await fill(buffer, "boiler")
    assert 0 < taken < 6_000
    with pytest.raises(BufferFull):
        await buffer.append("boiler", admitted(noisy(PER_APPEND)))
    status = await buffer.status()
    assert status.streams[0].pending == status.streams[0].head == taken
    await drain(buffer, hub)
    assert (await buffer.append("boiler", admitted(noisy(PER_APPEND)))).first == taken + 1
    await buffer.close()


async def test_a_refused_append_uses_up_no_sequence(world: World) -> None:
    buffer = await world.open()
    taken = await fill(buffer, "boiler")
    assert (await buffer.status()).streams[0].head == taken
    await buffer.close()


async def test_the_file_never_grows_beyond_its_bound(world: World) -> None:
    world.policies = policies(boiler=EVICT)
    buffer = await world.open()
    for _ in range(12):
        await fill(buffer, "boiler", appends=10)
        await buffer.seal_due(link_up=False)
        assert world.path.stat().st_size <= world.settings.max_bytes
    await buffer.close()
    assert world.path.stat().st_size <= world.settings.max_bytes


async def test_evict_gives_up_the_oldest_with_a_receipt(world: World, hub: FakeHub) -> None:
    world.policies = policies(boiler=EVICT)
    buffer = await world.open()
    assert await fill(buffer, "boiler") == 6_000
    manifest = await buffer.manifest(whole=True)
    assert {receipt.reason for receipt in manifest.receipts} == {Reason.EVICTED}
    [claim] = manifest.claims
    lost = sum(receipt.last - receipt.first + 1 for receipt in manifest.receipts)
    assert claim.head == 6_000
    assert claim.held == [lost + 1, 6_000]
    await drain(buffer, hub)
    stored = hub.stored(buffer.incarnation, "boiler") | hub.receipted[buffer.incarnation, "boiler"]
    assert stored.to_wire() == [1, 6_000]
    await buffer.close()


async def test_receipts_of_what_follows_one_another_become_one(world: World) -> None:
    world.policies = policies(boiler=EVICT)
    buffer = await world.open()
    await fill(buffer, "boiler")
    assert len((await buffer.manifest(whole=True)).receipts) == 1
    await buffer.close()


async def test_acknowledged_batches_go_first_and_without_a_receipt(world: World, hub: FakeHub) -> None:
    world.policies = policies(boiler=EVICT)
    buffer = await world.open()
    await fill(buffer, "boiler", appends=30)
    await drain(buffer, hub)
    await fill(buffer, "boiler", appends=50)
    status = await buffer.status()
    assert status.open_receipts == 0
    assert status.streams[0].pending == 2_500
    await buffer.close()


async def test_the_lowest_priority_goes_first_and_never_for_one_that_is_lower(world: World) -> None:
    low, high = replace(EVICT, priority=2), replace(EVICT, priority=7)
    world.policies = policies(low=low, high=high)
    buffer = await world.open()
    await fill(buffer, "low", appends=60)
    assert await fill(buffer, "high", appends=50) == 2_500
    by_name = {each.name: each for each in (await buffer.status()).streams}
    assert by_name["low"].receipted.keys() == {"evicted"}
    assert by_name["high"].receipted == {}
    await fill(buffer, "high")
    assert {each.name: each.pending for each in (await buffer.status()).streams}["low"] == 0
    with pytest.raises(BufferFull):
        await buffer.append("low", admitted(noisy(500)))
    await buffer.close()


async def test_a_stream_that_may_not_lose_anything_is_refused_beside_one_that_may(world: World) -> None:
    world.policies = policies(safe=StreamSettings(priority=9), cheap=EVICT)
    buffer = await world.open()
    safe = await fill(buffer, "safe")
    await fill(buffer, "cheap", appends=3)
    by_name = {each.name: each for each in (await buffer.status()).streams}
    assert by_name["safe"].pending == safe
    await buffer.close()


@pytest.mark.parametrize("sealed", [False, True])
async def test_thin_leaves_hourly_summaries_and_a_receipt_that_names_them(
    world: World, hub: FakeHub, sealed: bool
) -> None:
    world.policies = policies(boiler=THIN)
    buffer = await world.open(sealing=sealed)
    for _ in range(10):
        await fill(buffer, "boiler", appends=10)
        await buffer.seal_due(link_up=True)
    if not sealed:
        await world.give_epoch(buffer)
    receipts = (await buffer.manifest(whole=True)).receipts
    thinned = [receipt for receipt in receipts if receipt.reason is Reason.THINNED]
    assert thinned == receipts
    await drain(buffer, hub)
    covered = sum(receipt.last - receipt.first + 1 for receipt in thinned)
    hourly = [record for (_, name, _), record in hub.records.items() if name == "boiler.hourly"]
    assert sum(record["count"] for record in hourly) == covered
    assert {record["field"] for record in hourly} == {"temp"}
    assert {record["ts"] for record in hourly} == {"2026-11-23T12:00:00+00:00"}
    assert all(0 <= record["min"] <= record["mean"] <= record["max"] < PER_APPEND for record in hourly)
    for receipt in thinned:
        assert receipt.summary is not None
        name, first, last = receipt.summary
        assert all((buffer.incarnation, name, n) in hub.records for n in range(first, last + 1))
    await buffer.close()


async def test_records_that_are_too_old_expire_with_a_receipt(world: World) -> None:
    world.policies = policies(boiler=StreamSettings(max_age_s=86_400))
    buffer = await world.open()
    await buffer.append("boiler", admitted(noisy(5)))
    await buffer.seal_due(link_up=True, flush=True)
    await buffer.append("boiler", admitted(noisy(5)))
    world.clock.advance(86_401)
    await buffer.append("boiler", admitted(noisy(5)))
    assert await buffer.expire() == 2
    manifest = await buffer.manifest(whole=True)
    assert [(r.first, r.last, r.reason) for r in manifest.receipts] == [(1, 10, Reason.EXPIRED)]
    assert manifest.claims[0].held == [11, 15]
    await buffer.close()


async def test_records_of_a_clock_that_was_never_set_do_not_expire(world: World) -> None:
    world.policies = policies(boiler=StreamSettings(max_age_s=86_400))
    now, world.clock.us = world.clock.us, 1_000_000
    buffer = await world.open()
    await buffer.append("boiler", admitted(noisy(5)))
    await buffer.close()
    world.clock.us = now
    again = await world.open()
    assert await again.expire() == 0
    await again.close()


async def test_a_clock_that_jumps_while_the_agent_runs_makes_nothing_old(world: World) -> None:
    world.policies = policies(boiler=StreamSettings(max_age_s=86_400))
    buffer = await world.open()
    await buffer.append("boiler", admitted(noisy(5)))
    world.clock.jump(years=10)
    assert await buffer.expire() == 0
    await buffer.close()


async def test_other_processes_see_how_full_it_is(world: World) -> None:
    buffer = await world.open()
    await fill(buffer, "boiler")
    seen = read_status(world.path, max_bytes=world.settings.max_bytes)
    assert seen == replace(await buffer.status())
    assert seen.room_bytes < 1 * MIB
    await buffer.close()


async def test_a_full_buffer_still_takes_acknowledgements_and_receipts(world: World, hub: FakeHub) -> None:
    world.policies = policies(boiler=StreamSettings(when_full=WhenFull.REFUSE, max_age_s=86_400))
    buffer = await world.open()
    await fill(buffer, "boiler")
    world.clock.advance(86_401)
    while await buffer.expire():
        pass
    assert (await buffer.status()).streams[0].pending == 0
    await buffer.close()
