"""The real time, randomness and worker threads. Nothing else touches them; each side's `app` hands them in."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from farshore_protocol.limits import KIB
from farshore_protocol.ports import Clock, Random

T = TypeVar("T")

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Of mallopt(3)."""


@dataclass(frozen=True, slots=True)
class World:
    """What most rooms take from outside: time and randomness."""

    clock: Clock
    random: Random


def real_world() -> World:
    """The machine's."""
    return World(SystemClock(), SystemRandom())


class SystemClock:
    """The machine's clocks; a `farshore_protocol.ports.Clock`."""

    def now_us(self) -> int:
        """Wall time in microseconds since 1970, UTC."""
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for that long."""
        await asyncio.sleep(seconds)


class SystemRandom:
    """The operating system's randomness; a `farshore_protocol.ports.Random`."""

    def __init__(self) -> None:
        self._source = random.SystemRandom()

    def token(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        return self._source.randbytes(count)

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return self._source.uniform(low, high)


def open_files() -> int:
    """How many files, connections among them, this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def allow_many_files() -> None:
    """Let this process open as many files as the system lets it ask for; for daemons, before they listen."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def write_for_us_only() -> None:
    """From now on nobody but this user may read what this process makes; for daemons."""
    os.umask(0o077)


def keep_memory_small() -> None:
    """Give large blocks back as soon as they are free, where the C library can be told so; before threads are made.

    glibc keeps a heap for each thread, and learns from large blocks that come and go to keep them.
    """
    import ctypes  # noqa: PLC0415 - nothing else needs it

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 256 * KIB)


def make_for_us_only(path: Path) -> None:
    """Make an empty file of mode 0600 if there is none, for a library that would let others read what it makes."""
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


class ThreadRunner:
    """Runs blocking work beside the event loop; a `farshore_protocol.ports.Runner`.

    With one thread, the default, one call runs after the other.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread and return what it returns, or raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for the work under way and end the threads."""
        self._pool.shutdown(wait=True)
