"""What many pages look at is read once for all of them, and no more often than can be afforded."""

from __future__ import annotations

import asyncio

from farshore_hub.web.pages.shared import FRESH_S, SHARE, Shared
from tests.hub.fleet.site import TurnableClock


class Reader:
    """Reads a list, and takes its time."""

    def __init__(self, clock: TurnableClock, takes_s: float = 0.0) -> None:
        self.clock, self.takes_s = clock, takes_s
        self.reads = 0
        self.value = [1]

    async def __call__(self) -> list[int]:
        self.reads += 1
        await self.clock.sleep(self.takes_s)
        return list(self.value)


async def test_of_many_who_ask_at_once_one_reads() -> None:
    clock = TurnableClock()
    shared, read = Shared(clock), Reader(clock, 0.1)
    found = await asyncio.gather(*(shared.get("fleet", read) for _ in range(5)))
    assert (read.reads, found) == (1, [[1]] * 5)


async def test_it_is_read_again_when_it_is_old_and_what_is_equal_stays_the_same() -> None:
    clock = TurnableClock()
    shared, read = Shared(clock), Reader(clock)
    first = await shared.get("fleet", read)
    await clock.sleep(FRESH_S + 0.01)
    assert await shared.get("fleet", read) is first
    assert read.reads == 2
    read.value = [2]
    await clock.sleep(FRESH_S + 0.01)
    assert await shared.get("fleet", read) == [2]


async def test_what_took_long_to_read_is_read_seldom() -> None:
    clock = TurnableClock()
    shared, read = Shared(clock), Reader(clock, 2.0)
    await shared.get("fleet", read)
    await clock.sleep(2.0 * SHARE - 0.01)
    await shared.get("fleet", read)
    assert read.reads == 1
    await clock.sleep(0.02)
    await shared.get("fleet", read)
    assert read.reads == 2


async def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    clock = TurnableClock()
    shared, read = Shared(clock), Reader(clock)
    for number in range(500):
        await shared.get(number, read)
    await shared.get(499, read)
    assert read.reads == 500
    await shared.get(0, read)
    assert read.reads == 501
