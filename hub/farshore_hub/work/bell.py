"""Waking a loop that sleeps: whoever has news rings, from any thread, and the sleeper looks again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from farshore_protocol.ports import Clock


class Bell:
    """Rings are not counted. One that rings while nobody sleeps wakes the next sleeper at once."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self) -> None:
        """There is news. For any thread; without a loop that has slept here, nobody is there to hear it."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._rung.set)

    async def sleep(self, clock: Clock, seconds: float) -> None:
        """Sleep for that long, or until it rings."""
        self._loop = asyncio.get_running_loop()
        nap = asyncio.ensure_future(clock.sleep(seconds))
        ring = asyncio.ensure_future(self._rung.wait())
        try:
            await asyncio.wait((nap, ring), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._rung.clear()
            # They are not awaited: a cancellation of the sleeper itself could be taken for theirs.
            nap.cancel()
            ring.cancel()
