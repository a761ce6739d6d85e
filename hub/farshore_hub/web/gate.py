"""The gate: takes connections from the port within bounds, before TLS, HTTP or anybody's memory is spent on them.

asyncio's own servers accept whatever comes: a peer that connects and never begins TLS is nowhere counted, for a minute.
Here every accepted connection counts from its first moment to its end, in all and by the address it comes from, so that
whoever hoards connections leaves room for others. One that does not finish its handshake in time is closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import ssl

HANDSHAKE_S: Final = 20
"""Two round trips; a link of 600 ms that loses every third packet still makes it."""

_NO_FILES_S: Final = 0.2
"""A pause where the system has no file for another connection."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Connections that are open at a time; one more is closed at once.

    Attributes:
        in_all: from everywhere.
        of_an_address: from one address.
    """

    in_all: int
    of_an_address: int


class GatedProtocol(Protocol):
    """What the gate needs of a connection's protocol beside asyncio's part: to be told of the end."""

    when_lost: Callable[[], None]


class Gate:
    """Accepts on one bound socket; has the part of an asyncio server that uvicorn uses."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        bounds: Bounds,
        new_protocol: Callable[[], GatedProtocol],
    ) -> None:
        self._listening = listening
        self._context = context
        self._bounds = bounds
        self._new_protocol = new_protocol
        self._open: Counter[str] = Counter()
        self._greeting: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Accept from now on."""
        self._listening.settimeout(0)
        self._accepting = asyncio.create_task(self._accept(), name="gate")

    def close(self) -> None:
        """Accept nothing more; connections whose handshake is under way are closed."""
        for task in (self._accepting, *self._greeting):
            if task is not None:
                task.cancel()

    async def wait_closed(self) -> None:
        """Return when the port is free."""
        if self._accepting is not None:
            await asyncio.wait((self._accepting, *self._greeting))
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_NO_FILES_S)
                continue
            self._admit(connection, str(address[0]))
            # With more waiting `sock_accept` returns at once: the others would not run until nobody comes any more.
            await asyncio.sleep(0)

    def _admit(self, connection: socket.socket, host: str) -> None:
        if self._open.total() >= self._bounds.in_all or self._open[host] >= self._bounds.of_an_address:
            connection.close()
            return
        self._open[host] += 1
        task = asyncio.create_task(self._greet(connection, host), name="greet")
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket, host: str) -> None:
        def protocol() -> asyncio.Protocol:
            made = self._new_protocol()
            made.when_lost = lambda: self._leave(host)
            return made  # type: ignore[return-value]  # uvicorn's are, and a protocol class cannot say so

        limit_s = HANDSHAKE_S if self._context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol, connection, ssl=self._context, ssl_handshake_timeout=limit_s
            )
        except (OSError, asyncio.CancelledError):
            connection.close()
            self._leave(host)

    def _leave(self, host: str) -> None:
        self._open[host] -= 1
        if self._open[host] <= 0:
            del self._open[host]
