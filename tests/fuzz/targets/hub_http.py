"""HTTP/1.1 of the hub: uvicorn's parser with the hub's bounds, below the application."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from farshore_hub.web.tls import bounded
from tests.agent.clocks import settle
from tests.fuzz.target import target
from tests.fuzz.targets.http import LOOP, _requests
from tests.fuzz.transport import MemoryTransport, pieces


async def _application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    """Reads the body and says how long it was."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


CONFIG = uvicorn.Config(_application, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False)
CONFIG.load()
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


@target(seeds=_requests)
def hub_http(data: bytes) -> None:
    """Every byte sequence is answered or ends the connection."""
    LOOP.run_until_complete(_serve([data]))
    LOOP.run_until_complete(_serve(pieces(data, 13)))


async def _serve(parts: list[bytes]) -> None:
    protocol = bounded(60)(CONFIG, ServerState(), {}, asyncio.get_running_loop())
    transport = MemoryTransport()
    protocol.connection_made(transport)
    for part in parts:
        if transport.closing:
            break
        protocol.data_received(part)
        await settle()
    protocol.connection_lost(None)
    await settle()
    assert b"HTTP/1.1 5" not in transport.written, bytes(transport.written)
