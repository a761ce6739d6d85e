"""The loop that thins the journal of claims, so that it does not grow for ever with every parcel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from farshore_hub.ledger.thinning import last_midnight
from farshore_hub.store.engine import writing
from farshore_hub.store.thinning import thin_some
from farshore_protocol.ports import Clock, Runner

LOOK_EVERY_S: Final = 3600.0
PAUSE_S: Final = 0.05
"""Between two transactions: on SQLite the accept path waits for each."""


class Thinner:
    """Thins claims that are older than `kept_us`. All its work is done on `runner`.

    Args:
        is_ours: whether this process is the one that works behind the accept path.
    """

    def __init__(
        self, engine: Engine, clock: Clock, runner: Runner, kept_us: int, is_ours: Callable[[], bool] = lambda: True
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._runner = runner
        self._kept_us = kept_us
        self._is_ours = is_ours

    async def run(self) -> None:
        """Thin what becomes old, until cancelled."""
        while True:
            if self._is_ours() and await self._runner(self.thin_some):
                await self._clock.sleep(PAUSE_S)
            else:
                await self._clock.sleep(LOOK_EVERY_S)

    def thin_some(self) -> bool:
        """Thin a little, in a transaction; whether there was anything to do. Blocking."""
        now_us = self._clock.now_us()
        with writing(self._engine) as connection:
            return thin_some(connection, last_midnight(now_us - self._kept_us), now_us)
