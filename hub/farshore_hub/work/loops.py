"""Named background loops: each is started again after a failure, which the log and the readiness check tell."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from farshore_protocol.ports import Clock

_log = logging.getLogger(__name__)


class Loop:
    """One loop that should never end.

    Attributes:
        fault: why it does not run just now, or nothing.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], clock: Clock, *, retry_s: float) -> None:
        self.name = name
        self.fault = "not started"
        self._work = work
        self._clock = clock
        self._retry_s = retry_s

    async def run(self) -> None:
        """Run the work until cancelled."""
        while True:
            self.fault = ""
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the other loops and the port go on
                _log.exception("%s failed; it starts again in %s s", self.name, self._retry_s)
                self.fault = f"{type(error).__name__}: {error}"
            else:
                self.fault = "ended"
            await self._clock.sleep(self._retry_s)
