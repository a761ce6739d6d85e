"""Tells whoever waits that something was merged: looks at one number, and only while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from farshore_protocol.ports import Clock, Runner

LOOK_EVERY_S: Final = 0.25
MAX_WAITING: Final = 10_000
"""Who comes beyond that is answered at once."""


class News:
    """Of one process.

    Args:
        versions: tells a number that is another one after anything was merged.
        run: for that.
    """

    def __init__(self, versions: Callable[[], int], run: Runner, clock: Clock, stopping: asyncio.Event) -> None:
        self._versions = versions
        self._run = run
        self._clock = clock
        self._stopping = stopping
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        self._now: int | None = None

    async def wait(self, seen: int, seconds: float) -> bool:
        """Return True when the number is not the one that was `seen`; False after that time, or when the hub ends."""
        if self._waiting >= MAX_WAITING:
            return False
        self._waiting += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="news of tables")
        try:
            async with asyncio.timeout(seconds):
                while self._now in {None, seen} and not self._stopping.is_set():
                    await self._bell.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return not self._stopping.is_set()

    async def _look(self) -> None:
        """Look until nobody waits any more."""
        try:
            while self._waiting and not self._stopping.is_set():
                now = await self._run(self._versions)
                if now != self._now:
                    self._now = now
                    self._ring()
                await self._clock.sleep(LOOK_EVERY_S)
        finally:
            self._now = None
            self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
