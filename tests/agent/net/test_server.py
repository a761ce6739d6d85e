"""The HTTP server, on real sockets: what it answers, in which order, and what it does not put up with."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from farshore_agent.net.limits import ServerLimits
from farshore_agent.net.messages import HttpError, Request, Response
from farshore_agent.net.reading import REQUEST_BYTES, RequestReader
from farshore_agent.net.routes import Route, Routes
from farshore_agent.net.server import Server
from tests.agent.clocks import SteppedClock

LIMITS = ServerLimits(max_header_bytes=1000, max_body_bytes=10_000, max_held_bytes=15_000, max_connections=3)


async def echo(request: Request) -> Response:
    return Response(200, request.body, {"content-type": "text/plain", "x-path": request.path})


async def broken(request: Request) -> Response:
    raise RuntimeError("the secret is 42")


async def refusing(request: Request) -> Response:
    raise HttpError(507, "no room", headers={"retry-after": "7"}, members={"stream": "boiler"})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A client that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        await self.send(f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode())
        await self.send(body)
        return await self.answer()

    async def is_closed(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


@dataclass
class House:
    """A server on a free port, and the peers that came to it."""

    server: Server
    port: int
    clock: SteppedClock
    peers: list[Peer]

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    routes = Routes(
        Route("POST", "/echo/{name}", echo), Route("GET", "/broken", broken), Route("GET", "/refusing", refusing)
    )
    clock = SteppedClock()
    server = Server(routes, clock=clock, limits=LIMITS)
    house = House(server, await server.listen_tcp("127.0.0.1", 0), clock, [])
    yield house
    for peer in house.peers:
        peer.writer.close()
    await server.stop(grace_s=0)


async def test_a_connection_carries_one_request_after_the_other(house: House) -> None:
    peer = await house.peer()
    for body in (b"one", b"", b"three" * 100):
        answer = await peer.ask("POST", "/echo/boiler", body)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["connection"] == "keep-alive"


async def test_pipelined_requests_are_answered_in_their_order(house: House) -> None:
    peer = await house.peer()
    request = "POST /echo/{0} HTTP/1.1\r\ncontent-length: 2\r\n\r\n{0:02d}"
    await peer.send("".join(request.format(number) for number in range(7)).encode())
    assert [(await peer.answer()).body for _ in range(7)] == [f"{number:02d}".encode() for number in range(7)]


async def test_requests_in_one_piece_take_room_of_their_own_and_no_more_than_there_is(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"GET /healthz HTTP/1.1\r\n\r\n" * 10_000)
    answers = [await peer.answer() for _ in range(1 + LIMITS.max_held_bytes // REQUEST_BYTES)]
    assert [each.status for each in answers].count(503) == 1
    assert answers[-1].status == 503
    await _until(lambda: house.server.connections.held_bytes == 0)


@pytest.mark.parametrize(
    "framing", [b"1;" + b"x" * 500_000, b"0\r\nt: " + b"x" * 500_000, b"0\r\n" + b"t: x\r\n" * 1000]
)
async def test_framing_of_a_body_that_never_ends_is_cut_off(house: House, framing: bytes) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + framing)
    assert (await peer.answer()).status == 431


def test_a_trailer_is_no_header() -> None:
    reader = RequestReader(LIMITS, lambda _count: True)
    reader.feed(b"POST / HTTP/1.1\r\nsaid: head\r\ntransfer-encoding: chunked\r\n\r\n0\r\nsaid: trailer\r\n\r\n")
    (received,) = reader.take()
    assert received.request.headers["said"] == "head"


async def test_an_upgrade_gives_back_the_room_of_its_body(house: House) -> None:
    peer = await house.peer()
    await peer.ask("POST", "/echo/a", b"x" * 5_000, headers="upgrade: websocket\r\nconnection: upgrade\r\n")
    assert house.server.connections.held_bytes == 0


async def test_a_request_may_come_byte_by_byte_and_in_chunks(house: House) -> None:
    peer = await house.peer()
    raw = b"POST /echo/a%20b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    for index in range(len(raw)):
        await peer.send(raw[index : index + 1])
    answer = await peer.answer()
    assert (answer.body, answer.headers["x-path"]) == (b"abcde", "/echo/a b")


async def test_a_peer_that_expects_100_is_told_to_continue(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n")
    assert (await peer.answer()).status == 100
    await peer.send(b"abc")
    assert (await peer.answer()).body == b"abc"


async def test_a_peer_that_expects_100_for_too_much_is_refused_before_it_sends(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 10001\r\nexpect: 100-continue\r\n\r\n")
    assert (await peer.answer()).status == 413


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nhost x\r\n\r\n", 400),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 2000 + b"\r\n\r\n", 431),
        (b"POST /echo/a HTTP/1.1\r\ncontent-length: 10001\r\n\r\n", 413),
        (b"POST /echo/a HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx", 400),
        (b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc", 400),
        (b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", 400),
        (b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2711\r\n" + b"a" * 10_001, 413),
        (b"POST /echo/a HTTP/1.1\r\nexpect: wonders\r\ncontent-length: 1\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 400),
        (b"POST /echo/\xf0\x9f\x98\x80 HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_gets_a_problem_document_and_the_connection_ends(
    house: House, raw: bytes, status: int
) -> None:
    peer = await house.peer()
    await peer.send(raw)
    answer = await peer.answer()
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status
    assert await peer.is_closed()
    other = await house.peer()
    assert (await other.ask("POST", "/echo/a", b"still here")).body == b"still here"


async def test_a_header_line_without_end_is_cut_off_while_it_grows(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"GET / HTTP/1.1\r\nx: ")
    for _ in range(20):
        await peer.send(b"a" * 100)
        await asyncio.sleep(0.001)
    assert (await peer.answer()).status == 431


async def test_an_error_after_good_requests_waits_for_its_turn(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 2\r\n\r\noknonsense\r\n\r\n")
    assert [(await peer.answer()).status, (await peer.answer()).status] == [200, 400]


async def test_a_handler_that_raises_costs_a_500_that_tells_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await house.peer()
    with caplog.at_level(logging.ERROR):
        answer = await peer.ask("GET", "/broken")
    assert answer.status == 500
    assert b"42" not in answer.body
    assert "the secret is 42" in caplog.text
    assert (await peer.ask("POST", "/echo/a", b"x")).status == 200


async def test_a_refusal_carries_its_headers_and_members(house: House) -> None:
    answer = await (await house.peer()).ask("GET", "/refusing")
    assert (answer.status, answer.headers["retry-after"]) == (507, "7")
    assert json.loads(answer.body) == {
        "title": "Insufficient Storage",
        "status": 507,
        "detail": "no room",
        "stream": "boiler",
    }


async def test_an_unknown_path_is_404_and_a_wrong_method_names_the_right_one(house: House) -> None:
    peer = await house.peer()
    assert (await peer.ask("GET", "/nowhere")).status == 404
    answer = await peer.ask("DELETE", "/echo/a")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_head_is_answered_without_a_body(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"HEAD /refusing HTTP/1.1\r\n\r\n")
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"507" in head
    assert (await peer.ask("POST", "/echo/a", b"next")).body == b"next"


async def test_a_peer_that_asks_for_it_is_closed_after_its_answer(house: House) -> None:
    for request in (b"POST /echo/a HTTP/1.1\r\nconnection: close\r\n", b"POST /echo/a HTTP/1.0\r\n"):
        peer = await house.peer()
        await peer.send(request + b"content-length: 1\r\n\r\nx")
        assert (await peer.answer()).headers["connection"] == "close"
        assert await peer.is_closed()
        peer.writer.close()


async def test_a_peer_that_shuts_its_side_still_gets_its_answer(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 1\r\n\r\nx")
    peer.writer.write_eof()
    assert (await peer.answer()).body == b"x"
    assert await peer.is_closed()


async def test_a_slow_sender_is_told_that_its_time_is_over(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 5\r\n\r\nab")
    await house.clock.pass_time(LIMITS.request_s + 2)
    assert (await peer.answer()).status == 408
    assert await peer.is_closed()


async def test_a_silent_connection_is_closed_and_an_active_one_stays(house: House) -> None:
    silent, active = await house.peer(), await house.peer()
    await active.ask("POST", "/echo/a", b"x")
    await house.clock.pass_time(LIMITS.idle_s / 2 + 2)
    assert (await active.ask("POST", "/echo/a", b"x")).status == 200
    await house.clock.pass_time(LIMITS.idle_s / 2 + 2)
    assert await silent.is_closed()
    assert (await active.ask("POST", "/echo/a", b"x")).status == 200


async def test_one_connection_too_many_is_told_to_come_back(house: House) -> None:
    peers = [await house.peer() for _ in range(3)]
    for peer in peers:
        await peer.ask("POST", "/echo/a", b"x")
    answer = await (await house.peer()).answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert (await peers[0].ask("POST", "/echo/a", b"x")).status == 200


async def test_bodies_of_all_connections_together_are_bounded_and_the_room_comes_back(house: House) -> None:
    first, second = await house.peer(), await house.peer()
    head = b"POST /echo/a HTTP/1.1\r\ncontent-length: 10000\r\n\r\n"
    await first.send(head + b"a" * 9_999)
    await asyncio.sleep(0.02)
    await second.send(head + b"a" * 9_999)
    assert (await second.answer()).status == 503
    await first.send(b"a")
    assert (await first.answer()).status == 200
    third = await house.peer()
    assert (await third.ask("POST", "/echo/a", b"a" * 10_000)).status == 200
    assert house.server.connections.held_bytes == 0


async def test_a_peer_that_leaves_in_the_middle_gives_its_room_back(house: House) -> None:
    peer = await house.peer()
    await peer.send(b"POST /echo/a HTTP/1.1\r\ncontent-length: 10000\r\n\r\n" + b"a" * 5_000)
    await _until(lambda: house.server.connections.held_bytes == 5_000)
    peer.writer.transport.abort()
    await _until(lambda: house.server.connections.held_bytes == 0)


async def test_stopping_finishes_what_is_being_answered(tmp_path: Path) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await go_on.wait()
        return Response(200, b"done")

    server, _, peer = await _serving(slow)
    idle = await _peer_of(server)
    await peer.send(b"GET / HTTP/1.1\r\n\r\n")
    await started.wait()
    stopping = asyncio.create_task(server.stop(grace_s=30))
    assert await idle.is_closed()
    go_on.set()
    answer = await peer.answer()
    assert (answer.body, answer.headers["connection"]) == (b"done", "close")
    peer.writer.close()
    idle.writer.close()
    await stopping


async def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    server, clock, peer = await _serving(never)
    await peer.send(b"GET / HTTP/1.1\r\n\r\n")
    stopping = asyncio.create_task(server.stop(grace_s=5))
    await clock.pass_time(6)
    await stopping
    assert await peer.is_closed()
    peer.writer.close()


async def test_a_unix_socket_is_for_its_user_only_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    server = Server(echo, clock=SteppedClock())
    await server.listen_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    peer = Peer(*await asyncio.open_unix_connection(str(path)))
    assert (await peer.ask("POST", "/", b"hello")).body == b"hello"
    peer.writer.close()
    await server.stop(grace_s=1)
    assert not path.exists()


async def test_a_socket_that_a_crash_left_is_replaced_but_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    server, second = Server(echo, clock=SteppedClock()), Server(echo, clock=SteppedClock())
    await server.listen_unix(path)
    with pytest.raises(OSError, match="another process listens"):
        await second.listen_unix(path)
    await second.stop()
    await server.stop()


async def test_a_file_in_the_socket_s_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="is not a socket"):
        await Server(echo, clock=SteppedClock()).listen_unix(path)
    assert path.read_text() == "precious"


async def _serving(handler: Callable[[Request], Awaitable[Response]]) -> tuple[Server, SteppedClock, Peer]:
    clock = SteppedClock()
    server = Server(handler, clock=clock)
    await server.listen_tcp("127.0.0.1", 0)
    return server, clock, await _peer_of(server)


async def _peer_of(server: Server) -> Peer:
    port = server._listeners[0].sockets[0].getsockname()[1]
    return Peer(*await asyncio.open_connection("127.0.0.1", port))


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the server has no event for what a test wants to see
            await asyncio.sleep(0.001)
