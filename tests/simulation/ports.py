"""Time, randomness and worker threads of a simulated machine: what `farshore_protocol.ports` asks for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tests.simulation.loop import Process, SimLoop

T = TypeVar("T")

START_US: Final = 1_795_435_200_000_000
"""2026-11-23, where every world begins."""

DAY_S: Final = 86_400.0
_SLOW: Final = 0.1


@dataclass
class Timepiece:
    """The clocks of one machine.

    Attributes:
        offset_s: how far the wall clock is off.
        rate: how many of its seconds pass in one of the world's; `run_at` sets it.
        booted_s: when it was started, in its own seconds.
        nap_s: the machine is so slow, or so busy, that a sleep lasts at least this long.
    """

    loop: SimLoop
    offset_s: float = 0.0
    rate: float = 1.0
    nap_s: float = 0.0
    booted_s: float = 0.0
    _set_at_s: float = 0.0
    _passed_s: float = 0.0

    def run_at(self, rate: float) -> None:
        """Run faster or slower from now on; what has passed has passed."""
        self._passed_s, self._set_at_s = self.seconds(), self.loop.time()
        self.rate = rate

    def seconds(self) -> float:
        """So many of its own seconds have passed since the world began."""
        return self._passed_s + (self.loop.time() - self._set_at_s) * self.rate

    def now_us(self) -> int:
        return START_US + round((self.seconds() + self.offset_s) * 1_000_000)

    def monotonic_s(self) -> float:
        return self.seconds() - self.booted_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds / self.rate, self.nap_s))


@dataclass
class Dice:
    """Randomness of one process.

    Attributes:
        replay: what the first draws have to give; a machine that was resumed from a snapshot draws as it did before.
        drawn: the first draws, for such a machine.
    """

    rng: random.Random
    replay: tuple[bytes, ...] = ()
    drawn: list[bytes] = field(default_factory=list)

    def token(self, count: int) -> bytes:
        drawn = len(self.drawn)
        value = self.replay[drawn] if drawn < len(self.replay) else self.rng.randbytes(count)
        if drawn < SNAPSHOT_DRAWS:
            self.drawn.append(value)
        return value

    def uniform(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)


SNAPSHOT_DRAWS: Final = 3
"""The incarnation, the name of the first key epoch and its key: what the memory of a running agent holds."""


class Worker:
    """A worker thread: one call after the other, each takes a moment, and the process can die before and after it."""

    def __init__(self, process: Process, rng: random.Random) -> None:
        self._process = process
        self._rng = rng
        self._one = asyncio.Lock()

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do the work. Cancelled before it has begun, it is not done; afterwards, nobody hears of it."""
        async with self._one:
            await asyncio.sleep(0.01 if self._rng.random() < _SLOW else 0)
            self._process.point()
            done = work()
        self._process.point()
        await asyncio.sleep(0)
        return done
