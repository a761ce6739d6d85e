"""Sealing waits for leisure: while producers hand over without a pause, appends go first."""

from __future__ import annotations

import asyncio

from tests.agent.buffer.world import SEAL, World, admitted, readings

FULL = SEAL.max_records


async def test_appends_go_before_batches_that_are_only_full(world: World) -> None:
    buffer = await world.open()
    appends = [asyncio.create_task(buffer.append("boiler", admitted(readings(n * FULL, FULL)))) for n in range(4)]
    await asyncio.sleep(0)
    assert await buffer.seal_due(link_up=False) == 0
    await asyncio.gather(*appends)
    assert await buffer.seal_due(link_up=False) == 4
    await buffer.close()


async def test_leisure_is_told_when_a_batch_is_full(world: World) -> None:
    told: list[int] = []
    buffer = await world.open()
    buffer.on_full = lambda: told.append(1)
    await buffer.append("boiler", admitted(readings(0, FULL - 1)))
    await asyncio.sleep(0)
    assert not told
    await buffer.append("boiler", admitted(readings(FULL, 1)))
    await asyncio.sleep(0)
    assert told
    await buffer.close()
