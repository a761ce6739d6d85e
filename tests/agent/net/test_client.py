"""The HTTP client on real sockets, with servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from farshore_agent.net import liveness
from farshore_agent.net.client import Endpoint, HttpClient
from farshore_agent.net.failures import BadAnswer, CannotConnect, ConnectionLost, DeadlinePassed
from farshore_agent.net.limits import ClientLimits
from farshore_agent.net.messages import Request, Response
from farshore_agent.net.server import Server
from farshore_shell.system import SystemClock

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, **limits: float) -> AsyncIterator[HttpClient]:
    """A client of a server that does what the script says with each connection."""
    server = await asyncio.start_server(_quietly(script), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(Endpoint("127.0.0.1", port), limits=ClientLimits(**limits))  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


def _quietly(script: Script) -> Script:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return handle


def answering(*answers: bytes) -> Script:
    """Each connection gets these answers, one a request, and is then closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return script


async def test_a_request_reaches_the_server_whole_and_its_answer_comes_back(tmp_path: Path) -> None:
    async def echo(request: Request) -> Response:
        return Response(200, request.body[::-1], {"x-path": request.path, "x-kind": request.headers["content-type"]})

    server = Server(echo, clock=SystemClock())
    await server.listen_unix(tmp_path / "s")
    client = HttpClient(Endpoint(path=tmp_path / "s"))
    try:
        answer = await client.request("POST", "/there", body=b"abc" * 100_000, headers={"content-type": "x"})
    finally:
        await client.close()
        await server.stop()
    assert answer.body == b"cba" * 100_000
    assert (answer.headers["x-path"], answer.headers["x-kind"]) == ("/there", "x")


async def test_one_connection_serves_many_requests() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(OK, OK, OK)(reader, writer)

    async with serving(script) as client:
        for _ in range(3):
            assert (await client.request("GET", "/")).body == b"ok"
    assert connections == 1


async def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    async with serving(answering(OK)) as client:
        for _ in range(3):
            assert (await client.request("GET", "/")).status == 200


async def test_an_answer_that_breaks_off_is_not_asked_for_again() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            writer.write(OK if requests == 1 else b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf")
            if requests == 2:
                return

    async with serving(script) as client:
        await client.request("GET", "/")
        with pytest.raises(ConnectionLost):
            await client.request("GET", "/")
    assert requests == 2


async def test_chunked_answers_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with serving(answering(chunked)) as client:
        assert (await client.request("GET", "/")).body == b"ok"


async def test_an_early_answer_is_heard_although_the_request_is_not_read() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(script) as client:
        assert (await client.request("POST", "/", body=bytes(8_000_000))).status == 413


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(script, total_s=0.05) as client:
        with pytest.raises(DeadlinePassed):
            await client.request("GET", "/")


async def test_a_slow_answer_is_waited_for_as_long_as_it_moves() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
        for _ in range(40):
            await asyncio.sleep(0.05)
            writer.write(b".")

    async with serving(script, total_s=60, still_s=1) as client:
        assert (await client.request("GET", "/")).body == b"." * 40


async def test_a_request_that_is_taken_slowly_is_given_the_time() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = 0
        while taken < 8_000_000:
            if taken < 4_000_000:
                await asyncio.sleep(0.02)
            taken += len(await reader.read(100_000))
        writer.write(OK)

    async with serving(script, total_s=60, still_s=1) as client:
        assert (await client.request("POST", "/", body=bytes(8_000_000))).body == b"ok"


async def test_nothing_may_stand_still_although_the_whole_has_time() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(script, total_s=3600, still_s=0.1) as client:
        with pytest.raises(DeadlinePassed, match="nothing has moved"):
            await client.request("POST", "/", body=bytes(8_000_000))


async def test_an_early_answer_spares_the_rest_of_the_request() -> None:
    read = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)
        while piece := await reader.read(1_000_000):
            read += len(piece)

    async with serving(script) as client:
        assert (await client.request("POST", "/", body=bytes(32_000_000))).status == 413
    assert read < 16_000_000


async def test_a_peer_that_is_gone_is_noticed_before_the_next_request() -> None:
    async with serving(answering(OK, OK)) as client:
        await client.request("GET", "/")
        assert client._connection is not None
        assert client._connection._transport is not None
        tcp = client._connection._transport.get_extra_info("socket")
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == liveness.IDLE_S
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == liveness.UNANSWERED_MS


class NameService:
    """Answers for the loop; `answer` is what it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Exception | list[str] | None = ["127.0.0.1"]
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._look_up)

    async def _look_up(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host == "127.0.0.1":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.answer or []]


@pytest.mark.parametrize(
    "failing", [socket.gaierror(-3, "Temporary failure in name resolution"), None], ids=["fails", "says nothing"]
)
async def test_a_name_service_that_is_gone_does_not_cut_off_a_hub_that_is_known(
    failing: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(OK), resolve_s=0.1) as client:
        names = NameService(monkeypatch)
        client.endpoint = Endpoint("hub.example.org", client.endpoint.port)
        assert (await client.request("GET", "/")).body == b"ok"
        await client.close()
        names.answer = failing
        assert (await client.request("GET", "/")).body == b"ok"


async def test_a_name_that_was_never_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    NameService(monkeypatch).answer = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(CannotConnect, match="Name or service not known"):
        await HttpClient(Endpoint("hub.example.org", 1)).request("GET", "/")


async def test_another_address_of_a_name_is_tried_when_the_first_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK), connect_s=1) as client:
        NameService(monkeypatch).answer = ["127.0.0.2", "127.0.0.1"]
        monkeypatch.setattr(
            asyncio.get_running_loop(), "create_connection", _only_to("127.0.0.1", asyncio.get_running_loop())
        )
        client.endpoint = Endpoint("hub.example.org", client.endpoint.port)
        assert (await client.request("GET", "/")).body == b"ok"


def _only_to(host: str, loop: asyncio.AbstractEventLoop) -> Callable[..., Awaitable[object]]:
    connect = loop.create_connection

    async def create_connection(make: Callable[[], asyncio.Protocol], to: str, *more: int, **options: object) -> object:
        if to != host:
            await asyncio.Event().wait()
        return await connect(make, to, *more, **options)  # type: ignore[call-overload]

    return create_connection


async def test_nobody_there_is_told_apart() -> None:
    client = HttpClient(Endpoint("127.0.0.1", 1))
    with pytest.raises(CannotConnect, match=r"127\.0\.0\.1:1"):
        await client.request("GET", "/")


async def test_a_missing_socket_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect, match="gone"):
        await HttpClient(Endpoint(path=tmp_path / "gone")).request("GET", "/")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2000\r\n" + bytes(8192),
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000,
    ],
    ids=["not HTTP", "announced too long", "grows too long", "endless header"],
)
async def test_an_answer_beyond_the_bounds_is_refused(answer: bytes) -> None:
    async with serving(answering(answer), max_body_bytes=4096) as client:
        with pytest.raises(BadAnswer):
            await client.request("GET", "/")


async def test_after_a_bad_answer_the_next_request_has_a_connection_of_its_own() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(b"nonsense\r\n\r\n" if connections == 1 else OK)(reader, writer)

    async with serving(script) as client:
        with pytest.raises(BadAnswer):
            await client.request("GET", "/")
        assert (await client.request("GET", "/")).body == b"ok"


async def test_a_cancelled_request_leaves_no_half_answer_behind() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0 if b"second" in head else 0.2)
        writer.write(OK.replace(b"ok", b"2!" if b"second" in head else b"1!"))

    async with serving(script) as client:
        first = asyncio.create_task(client.request("GET", "/first"))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await client.request("GET", "/second")).body == b"2!"
