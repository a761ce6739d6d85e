"""What the world hands in: time, randomness and a place for blocking work.

Both sides are written against these, so that the simulation runs the very code that ships. Only interfaces stand here;
the real ones are in `farshore_shell.system`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time. Wall time may jump by years; nothing waits on it."""

    def now_us(self) -> int:
        """Wall time in microseconds since 1970, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only go forward; for waiting and measuring."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for that long."""
        ...


class Random(Protocol):
    """Randomness; the real one is the operating system's."""

    def token(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        ...


class Runner(Protocol):
    """Runs blocking work (a commit, an fsync, an encoding) beside the event loop, one call after the other."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run `work` and return what it returns, or raise what it raises."""
        ...
