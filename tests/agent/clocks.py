"""A clock that stands still until a test lets time pass."""

from __future__ import annotations

import asyncio
import heapq
from typing import Final

START_US: Final = 1_795_422_600_000_000
"""2026-11-23T08:30:00Z."""


class SteppedClock:
    """Implements `farshore_protocol.ports.Clock`. Sleepers wake in their order, as `pass_time` reaches them."""

    def __init__(self, now_us: int = START_US) -> None:
        self._start_us = now_us
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_us(self) -> int:
        return self._start_us + round(self._elapsed_s * 1_000_000)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._count, future))
        await future

    async def pass_time(self, seconds: float) -> None:
        """Let that much time pass; whoever wakes in it runs, and may sleep and wake again."""
        end_s = self._elapsed_s + seconds
        while True:
            await settle()
            if not self._sleepers or self._sleepers[0][0] > end_s:
                break
            self._elapsed_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        self._elapsed_s = end_s


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(5):
        await asyncio.sleep(0)
