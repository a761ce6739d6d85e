"""One record's way through the buffer: appended, sealed, sent, acknowledged, gone."""

from __future__ import annotations

import asyncio

from farshore_agent.buffer import Buffer, Checkpoint, read_status
from farshore_agent.settings import StreamSettings
from farshore_agent.settings.streams import Order
from tests.agent.buffer.world import MIB, FakeHub, World, admitted, drain, exchange, policies, readings


async def test_appended_records_reach_the_hub_as_they_were(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    answer = await buffer.append("boiler", admitted(readings(0, 250)))
    assert (answer.first, answer.last, answer.refused) == (1, 250, 0)
    await drain(buffer, hub)
    assert [hub.records[buffer.incarnation, "boiler", n] for n in range(1, 251)] == readings(0, 250)
    await buffer.close()


async def test_sequences_are_dense_and_start_at_one_in_each_stream_and_life(world: World) -> None:
    buffer = await world.open()
    answers = [await buffer.append("boiler", admitted(readings(n, 3))) for n in range(4)]
    assert [(each.first, each.last) for each in answers] == [(1, 3), (4, 6), (7, 9), (10, 12)]
    assert (await buffer.append("pump", admitted(readings(0, 2)))).first == 1
    await buffer.close()
    again = await world.open()
    assert again.incarnation != buffer.incarnation
    assert (await again.append("boiler", admitted(readings(0, 1)))).first == 1
    await again.close()


async def test_appends_that_wait_together_become_one_chunk_and_keep_their_own_places(
    world: World, hub: FakeHub
) -> None:
    buffer = await world.open()
    appends = [buffer.append("boiler", admitted([{"who": who}])) for who in range(256)]
    answers = await asyncio.gather(*appends)
    assert sorted(answer.first for answer in answers) == list(range(1, 257))
    await drain(buffer, hub)
    for who, answer in enumerate(answers):
        assert hub.records[buffer.incarnation, "boiler", answer.first] == {"who": who}
    await buffer.close()


async def test_refused_records_become_records_of_the_quarantine(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    answer = await buffer.append("boiler", admitted(readings(0, 2), refused=3))
    assert (answer.first, answer.last, answer.refused) == (1, 2, 3)
    await drain(buffer, hub)
    kept = [hub.records[buffer.incarnation, "boiler.quarantine", n] for n in (1, 2, 3)]
    assert [each["line"] for each in kept] == [1, 2, 3]
    assert kept[0] == {
        "line": 1,
        "field": "temp",
        "why": "not a number",
        "raw": "{bad}",
        "at": "2026-11-23T12:00:00.000+00:00",
    }
    await buffer.close()


async def test_an_append_of_refused_records_only_gives_out_no_sequence(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 2)))
    answer = await buffer.append("boiler", admitted([], refused=1))
    assert (answer.first, answer.last) == (3, 2)
    await buffer.close()


async def test_a_checkpoint_is_stored_with_its_records(world: World) -> None:
    buffer = await world.open()
    assert await buffer.load_checkpoint("file.csv") is None
    await buffer.append("boiler", admitted(readings(0, 1)), Checkpoint("file.csv", b"17"))
    await buffer.append("boiler", admitted(readings(0, 1)), Checkpoint("file.csv", b"23"))
    await buffer.close()
    again = await world.open()
    assert await again.load_checkpoint("file.csv") == b"23"
    await again.close()


async def test_what_an_earlier_life_left_unsealed_is_sealed_at_once_under_its_own_name(
    world: World, hub: FakeHub
) -> None:
    first = await world.open(sealing=False)
    await first.append("boiler", admitted(readings(0, 7)))
    await first.close()
    second = await world.open()
    assert await second.seal_due(link_up=False) == 1
    await exchange(second, hub)
    assert hub.stored(first.incarnation, "boiler").to_wire() == [1, 7]
    await second.close()


async def test_nothing_is_sealed_before_there_is_a_key(world: World) -> None:
    buffer = await world.open(sealing=False)
    await buffer.append("boiler", admitted(readings(0, 500)))
    assert await buffer.seal_due(link_up=True, flush=True) == 0
    await world.give_epoch(buffer)
    assert await buffer.seal_due(link_up=True, flush=True) == 5
    await buffer.close()


async def test_another_process_can_look_while_the_buffer_is_open_and_afterwards(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 5)))
    seen = read_status(world.path, max_bytes=1)
    assert [(each.name, each.head, each.pending) for each in seen.streams] == [("boiler", 5, 5)]
    await buffer.close()
    assert read_status(world.path, max_bytes=1).streams == seen.streams


async def test_batches_go_by_priority_then_age_and_follow_changed_settings(world: World) -> None:
    world.policies = policies(low=StreamSettings(priority=2), high=StreamSettings(priority=8))
    buffer = await world.open()
    for name in ("low", "high", "low", "high"):
        await buffer.append(name, admitted(readings(0, 3)))
        await buffer.seal_due(link_up=True, flush=True)

    async def order(of: Buffer) -> list[tuple[str, int]]:
        return [(batch.stream, batch.first) for batch in await of.waiting(max_bytes=MIB, max_batches=9)]

    assert await order(buffer) == [("high", 1), ("high", 4), ("low", 1), ("low", 4)]
    await buffer.close()
    world.policies = policies(low=StreamSettings(priority=9, order=Order.NEWEST), high=StreamSettings(priority=8))
    again = await world.open()
    assert await order(again) == [("low", 4), ("low", 1), ("high", 1), ("high", 4)]
    await again.close()
