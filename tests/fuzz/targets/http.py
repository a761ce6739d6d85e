"""HTTP/1.1 of the agent: its server, its client, and the messages of its control socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import msgspec

from farshore_agent import control
from farshore_agent.net.connection import Connections
from farshore_agent.net.conversation import Conversation
from farshore_agent.net.failures import ClientError
from farshore_agent.net.limits import ClientLimits, ServerLimits
from farshore_agent.net.messages import HttpError, Request, Response
from farshore_agent.net.routes import Route, Routes
from tests.agent.clocks import SteppedClock, settle
from tests.fuzz.target import target
from tests.fuzz.transport import MemoryTransport, pieces

LOOP = asyncio.new_event_loop()
LIMITS = ServerLimits(max_header_bytes=1_000, max_body_bytes=2_000, max_held_bytes=20_000)
_ANSWERS = frozenset({100, 200, 400, 404, 405, 408, 413, 417, 431, 503})


def _requests() -> Iterator[bytes]:
    yield b"POST /v1/streams/boiler HTTP/1.1\r\nhost: x\r\ncontent-length: 7\r\n\r\n" + b'{"a":1}'
    yield b"GET /healthz HTTP/1.1\r\n\r\nGET /nowhere?x=%00 HTTP/1.1\r\nconnection: close\r\n\r\n"
    yield (
        b"POST /v1/streams/b%20x HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0\r\ntrailer: x\r\n\r\n"
    )
    yield b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    yield b"OPTIONS * HTTP/1.0\r\n\r\nHEAD http://h:1/p HTTP/1.1\r\n\r\n"


@target(seeds=_requests)
def http_server(data: bytes) -> None:
    """Every byte sequence is answered or ends the connection; whatever room it took is given back."""
    LOOP.run_until_complete(_serve([data]))
    LOOP.run_until_complete(_serve(pieces(data, 11)))


async def _serve(parts: list[bytes]) -> None:
    async def handler(request: Request) -> Response:
        assert len(request.body) <= LIMITS.max_body_bytes
        return Response.json({"path": request.path})

    route = Route("POST", "/v1/streams/{stream}", handler)
    connections = Connections(Routes(route, Route("GET", "/healthz", handler)), SteppedClock(), LIMITS)
    connection, transport = connections.accept(), MemoryTransport()
    connection.connection_made(transport)
    for part in parts:
        connection.data_received(part)
        assert 0 <= connections.held_bytes <= LIMITS.max_held_bytes
        await settle()
        if transport.closing:
            break
    connection.connection_lost(None)
    for _ in range(10):
        await settle()
    assert connection._worker is None, "somebody still works for a peer that has gone"
    assert connections.held_bytes == 0, "room for bodies is lost"
    _check_answers(bytes(transport.written))


def _check_answers(written: bytes) -> None:
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", written)]
    assert set(statuses) <= _ANSWERS, written
    assert bool(statuses) == bool(written), written


def _answers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    busy = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    yield b"HTTP/1.1 100 Continue\r\n\r\n" + busy
    yield b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
    yield b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"


@target(seeds=_answers)
def http_client(data: bytes) -> None:
    """Whatever a hub answers is a response within its bound, or a ClientError; never both, never none."""
    LOOP.run_until_complete(_ask([data]))
    LOOP.run_until_complete(_ask(pieces(data, 7)))


async def _ask(parts: list[bytes]) -> None:
    limits = ClientLimits(max_body_bytes=1_000, max_header_bytes=1_000)
    connection, transport = Conversation("the hub", limits), MemoryTransport()
    connection.connection_made(transport)
    asked = asyncio.ensure_future(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b""))
    await settle()
    for part in parts:
        if not transport.closing:
            connection.data_received(part)
            assert len(connection._body) <= limits.max_body_bytes + len(part)
    connection.connection_lost(None)
    try:
        response = await asked
    except ClientError:
        return
    assert len(response.body) <= limits.max_body_bytes
    assert 200 <= response.status <= 999


@target(seeds=lambda: [b'{"max_bytes": 100}', b'{"batches": [1, 2]}', b'{"timeout_s": 1.5}'])
def control_message(data: bytes) -> None:
    """What is asked over the control socket."""
    for kind in (control._PlanRequest, control._ExportRequest, control._FlushRequest):
        try:
            read = control._read(Request("POST", "/", body=data), kind)
        except HttpError as error:
            assert error.status == 400
            continue
        msgspec.json.encode(read)
