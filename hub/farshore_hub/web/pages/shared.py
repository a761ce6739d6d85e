"""What many open pages look at is read once for all of them, and no more often than the hub can well afford."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from farshore_protocol.ports import Clock

T = TypeVar("T")

FRESH_S: Final = 1.5
"""What is not older is not read again."""

SHARE: Final = 10
"""What took long to read stays for this many times as long: reading takes no more than a tenth of a thread."""

_KEPT: Final = 64
"""Things that are kept; the one that was asked for longest ago goes first."""


@dataclass(slots=True)
class _Kept:
    value: Any
    until_s: float


class Shared:
    """Keeps for a moment what was read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._locks: OrderedDict[Hashable, asyncio.Lock] = OrderedDict()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, or gave a moment ago. Of many who ask at once, one reads.

        What is equal to the value before is that value: whoever keeps it sees with `is` that nothing has changed.
        """
        async with self._lock(key):
            kept = self._kept.get(key)
            began_s = self._clock.monotonic_s()
            if kept is None or began_s >= kept.until_s:
                value = await read()
                now_s = self._clock.monotonic_s()
                value = kept.value if kept is not None and kept.value == value else value
                kept = self._kept[key] = _Kept(value, now_s + max(FRESH_S, SHARE * (now_s - began_s)))
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return kept.value  # type: ignore[no-any-return]  # what `read` gave for this key

    def _lock(self, key: Hashable) -> asyncio.Lock:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._locks.move_to_end(key)
        for old in [each for each, one in self._locks.items() if not one.locked()][: max(0, len(self._locks) - _KEPT)]:
            if old != key:
                del self._locks[old]
        return lock
