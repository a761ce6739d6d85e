"""A bound on what runs at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from farshore_hub.errors import Busy
from farshore_protocol.ports import Runner

T = TypeVar("T")


class BoundedRunner:
    """A runner that takes on no more than so many calls at a time, and says so to those who come then."""

    def __init__(self, run: Runner, max_calls: int) -> None:
        self._run = run
        self._max_calls = max_calls
        self._calls = 0

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run `work`.

        Raises:
            Busy: enough is under way.
        """
        if self._calls >= self._max_calls:
            raise Busy("enough queries and exports are under way")
        self._calls += 1
        try:
            return await self._run(work)
        finally:
            self._calls -= 1
