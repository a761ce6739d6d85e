"""The client before a broker that answers as it likes, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from farshore_shell.mqtt import packets
from farshore_shell.mqtt.client import BrokerLost, BrokerRefused, Endpoint, Session, connected
from farshore_shell.mqtt.packets import Hello, Message
from farshore_shell.system import SystemClock

ACCEPTED = b"\x20\x02\x00\x00"
HELLO = Hello("client", 60)

Broker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(broker: Broker) -> AsyncIterator[int]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            with contextlib.suppress(asyncio.CancelledError):
                await broker(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1")
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(raw: bytes) -> Broker:
    """A broker that says this and then nothing more, for as long as the client stays."""

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        while await reader.read(1000):
            pass

    return broker


async def lost(
    broker: Broker, use: Callable[[Session], Awaitable[object]], *, hello: Hello = HELLO, timeout_s: float = 30
) -> str:
    """Why a session ended that was used so."""
    async with served(broker) as port:
        endpoint = Endpoint("127.0.0.1", port, None, "", 1000, 1000, timeout_s)
        with pytest.raises(BrokerLost) as caught:
            async with connected(endpoint, hello, lambda _: None, SystemClock()) as session:
                await use(session)
        return str(caught.value)


def waiting(session: Session) -> Awaitable[object]:
    return session.until_lost()


async def test_a_refusal_is_said_in_words() -> None:
    async with served(saying(b"\x20\x02\x00\x05")) as port:
        endpoint = Endpoint("127.0.0.1", port, None, "", 1000, 1000)
        with pytest.raises(BrokerRefused, match="may not connect"):
            async with connected(endpoint, HELLO, lambda _: None, SystemClock()):
                pass


async def test_a_broker_that_accepts_and_says_nothing_is_given_up() -> None:
    assert "within 0.1 s" in await lost(saying(b""), waiting, timeout_s=0.1)


async def test_something_else_than_a_broker_is_said() -> None:
    assert "does not speak MQTT" in await lost(saying(b"HTTP/1.1 400 Bad Request\r\n"), waiting)


async def test_a_packet_without_bounds_ends_the_connection_before_it_is_read() -> None:
    assert "268435455 bytes" in await lost(saying(ACCEPTED + b"\x30\xff\xff\xff\x7f" + bytes(100)), waiting)


async def test_an_answer_that_nobody_waits_for_ends_the_connection() -> None:
    assert "nobody waits for" in await lost(saying(ACCEPTED + b"\x40\x02\x00\x01"), waiting)


async def test_an_answer_of_another_kind_is_none() -> None:
    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await reader.read(1000)
        writer.write(b"\x90\x03\x00\x01\x00")
        await reader.read(1000)

    assert "not with PUBACK" in await lost(broker, lambda session: session.publish(Message("a", b"1")))


async def test_a_subscription_that_is_not_granted_is_said() -> None:
    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await reader.read(1000)
        writer.write(b"\x90\x03\x00\x01\x80")
        await reader.read(1000)

    assert "does not let us read a/b" in await lost(broker, lambda session: session.subscribe("a/b"))


async def test_a_message_that_is_not_acknowledged_in_time_ends_the_connection() -> None:
    said = await lost(saying(ACCEPTED), lambda session: session.publish(Message("a", b"1")), timeout_s=0.1)
    assert "did not answer" in said


async def test_a_dead_connection_is_noticed_though_it_has_no_end() -> None:
    quick = Hello("client", 1)
    assert "silent" in await lost(saying(ACCEPTED), waiting, hello=quick, timeout_s=0.05)


async def test_whoever_waits_for_an_answer_is_told_when_the_broker_goes() -> None:
    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await reader.read(1000)

    said = await lost(broker, lambda session: session.publish(Message("a", b"1")))
    assert "ended the connection" in said


async def test_messages_come_in_order_and_are_acknowledged_if_they_ask_for_it() -> None:
    acknowledged: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED + packets.publish(Message("a", b"1"), 9) + b"\x30\x04\x00\x01b2")
        acknowledged.set_result(await reader.read(1000))

    heard: list[Message] = []
    async with served(broker) as port:
        endpoint = Endpoint("127.0.0.1", port, None, "", 1000, 1000)
        async with connected(endpoint, HELLO, heard.append, SystemClock()):
            assert await acknowledged == packets.puback(9)
    assert heard == [Message("a", b"1"), Message("b", b"2")]


class Paced(SystemClock):
    """Writes down how much was heard whenever somebody sleeps for a second or less, and does not sleep so long."""

    def __init__(self, heard: list[Message]) -> None:
        self.counts: list[int] = []
        self._heard = heard

    async def sleep(self, seconds: float) -> None:
        if seconds <= 1:
            self.counts.append(len(self._heard))
        await super().sleep(0 if seconds <= 1 else seconds)


async def test_a_broker_that_floods_us_is_listened_to_at_our_pace() -> None:
    heard: list[Message] = []
    clock, flood = Paced(heard), b"\x30\x03\x00\x01a" * 35
    async with served(saying(ACCEPTED + flood)) as port:
        endpoint = Endpoint("127.0.0.1", port, None, "", 1000, 10)
        async with connected(endpoint, HELLO, heard.append, clock), asyncio.timeout(30):
            while len(heard) < 35:  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(0.001)
    assert clock.counts == [10, 20, 30]
