"""Tells the service manager how this process is, by sd_notify(3): ready, alive, stopping.

Where no service manager has started the process, nobody is told and nothing is done. The signs of life come from the
event loop that does the work, so whoever waits for them in vain knows that it hangs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

_LOG: Final = logging.getLogger(__name__)
_US_PER_S: Final = 1_000_000
_BEATS: Final = 3
"""Signs of life in the time after which the manager would give the process up."""
_STARTING_EVERY_S: Final = 10.0
_STARTING_FOR_US: Final = 60 * _US_PER_S
_ABSTRACT: Final = "@"


class Supervisor:
    """The service manager, or nobody.

    Args:
        address: of its datagram socket; empty for nobody.
        watchdog_s: it ends a process of which it has heard nothing for so long; 0 if it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0) -> None:
        self._address = "\0" + address.removeprefix(_ABSTRACT) if address.startswith(_ABSTRACT) else address
        self._watchdog_s = watchdog_s
        self._is_starting = True
        self._failure_level = logging.WARNING

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Self:
        """As the manager has said in the environment of the process `pid`, by default of this one."""
        meant = environment.get("WATCHDOG_PID", "")
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        is_meant = meant in {"", str(os.getpid() if pid is None else pid)}
        watchdog_s = int(watchdog_us) / _US_PER_S if is_meant and watchdog_us.isdecimal() else 0
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    def ready(self, status: str) -> None:
        """The service can be used from now on; `status` is shown to people. Told once."""
        if self._is_starting:
            self._is_starting = False
            self._tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """The service was asked to stop and is about it."""
        self._is_starting = False
        self._tell("STOPPING=1", "STATUS=stopping")

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Give signs of life from the running event loop for as long as the block runs.

        A start may take long, as when a damaged buffer is read page by page. Until it is over the manager is asked for
        more time as long as the loop turns.
        """
        if not self._address:
            yield
            return
        beating = asyncio.create_task(self._beat(), name="signs of life")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait((beating,))

    async def _beat(self) -> None:
        while True:
            self._tell("WATCHDOG=1", *((f"EXTEND_TIMEOUT_USEC={_STARTING_FOR_US}",) if self._is_starting else ()))
            await asyncio.sleep(self._watchdog_s / _BEATS or _STARTING_EVERY_S)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
                to.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            # It may be busy or gone; what it makes of that is its own decision, and no reason for us to stop working.
            _LOG.log(self._failure_level, "the service manager could not be told %s: %s", lines[0], error)
            self._failure_level = logging.DEBUG
