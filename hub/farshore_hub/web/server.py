"""Runs the web application on one port: uvicorn inside this process, with TLS, bounds and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp

from farshore_hub.errors import NotReady
from farshore_hub.web.gate import Bounds, Gate
from farshore_hub.web.tls import HubProtocol, bounded

KEEP_ALIVE_S: Final = 90
"""Longer than an agent's heartbeat, so that a quiet site pays for one TLS handshake only."""

GRACE_S: Final = 20
"""How long requests under way may take when the hub is stopped."""

BACKLOG: Final = 2048

_HEADERS: Final = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
"""Of every answer: tokens and records stay in nobody's cache."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where and how to serve.

    Attributes:
        listening: the bound socket.
        context: TLS, or None for plain HTTP.
        bounds: of open connections.
        body_timeout_s: a connection whose request body takes longer is closed.
    """

    listening: socket.socket
    context: ssl.SSLContext | None
    bounds: Bounds
    body_timeout_s: float

    @property
    def address(self) -> str:
        """Under which address this machine reaches the port."""
        host, port = self.listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.context else 'http'}://{shown}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        NotReady: it is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise NotReady(
            f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another with --listen HOST:PORT"
        ) from None
    # Its connections inherit it. asyncio sets it for sockets that name TCP, which this one does not; without it the
    # second part of an answer waits for the first to be acknowledged, for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(app: ASGIApp, port: Port, announce: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then end what is under way and return.

    `announce` is told the address once connections are accepted.
    """
    config = uvicorn.Config(
        app,
        http=bounded(port.body_timeout_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=_HEADERS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    await _Server(config, port, lambda: announce(port.address), stop).serve([])


class _Server(uvicorn.Server):
    """uvicorn's server, which here leaves signals to the caller, says when it is ready, and stops when told to."""

    def __init__(self, config: uvicorn.Config, port: Port, started: Callable[[], None], stop: asyncio.Event) -> None:
        super().__init__(config)
        self._port = port
        self._when_started = started
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gate = Gate(self._port.listening, self._port.context, self._port.bounds, self._new_protocol)
        self.servers.append(cast("asyncio.base_events.Server", gate))
        gate.open()
        self._when_started()

    async def on_tick(self, counter: int) -> bool:
        return self._stop.is_set() or await super().on_tick(counter)

    def _new_protocol(self) -> HubProtocol:
        made = cast("type[HubProtocol]", self.config.http_protocol_class)
        return made(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
