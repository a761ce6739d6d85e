"""A small HTTP/1.1 server on TCP and unix sockets: keep-alive, pipelining, and a bound on everything a peer can take.

A handler is an async function from `Request` to `Response`; it raises `HttpError` for what is the peer's fault.
Stopping is graceful: what has begun is answered, nothing new is accepted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from farshore_agent.net.connection import Connections
from farshore_agent.net.limits import ServerLimits
from farshore_agent.net.routes import Handler
from farshore_protocol.ports import Clock

_SWEEP_S: Final = 1.0
_BACKLOG: Final = 128


class Server:
    """Listens on any number of addresses with one handler and one set of limits.

    Close it with `stop`, in any case: listeners and connections belong to it.
    """

    def __init__(self, handler: Handler, *, clock: Clock, limits: ServerLimits | None = None) -> None:
        self.connections = Connections(handler, clock, limits or ServerLimits())
        self._clock = clock
        self._listeners: list[asyncio.Server] = []
        self._sockets: list[Path] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def listen_tcp(self, host: str, port: int) -> int:
        """Accept on a TCP address; returns the port, which is a free one for port 0.

        Raises:
            OSError: the address is in use, or not this machine's.
        """
        listener = await asyncio.get_running_loop().create_server(
            self.connections.accept, host, port, backlog=_BACKLOG, reuse_address=True
        )
        self._listening(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def listen_unix(self, path: Path) -> None:
        """Accept on a unix socket that only this user may open. One that a crash left behind is replaced.

        Raises:
            OSError: another process listens there, or something else is in the way.
        """
        _remove_stale(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Between bind and chmod nobody may come in: the mask makes the file right from the start.
            mask = os.umask(0o177)
            try:
                bound.bind(str(path))
            finally:
                os.umask(mask)
            listener = await asyncio.get_running_loop().create_unix_server(
                self.connections.accept, sock=bound, backlog=_BACKLOG
            )
        except BaseException:
            bound.close()
            raise
        self._sockets.append(path)
        self._listening(listener)

    async def stop(self, *, grace_s: float = 10) -> None:
        """Accept nothing more, finish what has begun within the grace, then close everything."""
        for listener in self._listeners:
            listener.close()
        for path in self._sockets:
            path.unlink(missing_ok=True)
        self.connections.stop()
        await self._drained(grace_s)
        self.connections.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper

    def _listening(self, listener: asyncio.Server) -> None:
        self._listeners.append(listener)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="http deadlines")

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_S)
            self.connections.expire()

    async def _drained(self, grace_s: float) -> None:
        waits = [
            asyncio.ensure_future(self.connections.empty.wait()),
            asyncio.ensure_future(self._clock.sleep(grace_s)),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that is no more; a live one, or a file of another kind, stays and is an error."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(f"{path} is not a socket: choose another name, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(f"another process listens on {path}")
