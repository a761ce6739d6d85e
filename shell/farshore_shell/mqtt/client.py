"""One connection to a broker: subscribe, publish at QoS 1, be told of what comes; and notice when nobody is there.

It does not connect again by itself: whoever uses it decides when, and what is to be said then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

from farshore_protocol.ports import Clock
from farshore_shell.mqtt import packets
from farshore_shell.mqtt.packets import BadPacket, Hello, Incoming, Kind, Message, Packet

MAX_IN_FLIGHT: Final = 32
"""Messages that wait for the broker's word at one time."""

_MAX_ID: Final = 0xFFFF
_CONNACK_BYTES: Final = 4
_READ_BYTES: Final = 64 * 1024
_REFUSED: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not like the client's name",
    3: "it is not ready",
    4: "the name or the password is wrong",
    5: "this client may not connect",
}


class BrokerLost(Exception):
    """There is no connection, or no more. The text says why, for people."""


class BrokerRefused(BrokerLost):
    """The broker is there, and does not want us."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a broker is, and the bounds of a connection to it.

    Attributes:
        tls: none for a broker on this machine.
        tls_name: what its certificate has to be for; empty: `host`.
        max_packet_bytes: of one packet that comes.
        max_messages_s: that are taken in a second; more wait at the broker.
        timeout_s: until it has accepted us, and until it has answered a packet.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    tls_name: str
    max_packet_bytes: int
    max_messages_s: int
    timeout_s: float = 30

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Session:
    """A connection that the broker has accepted. Made by `connected`."""

    def __init__(self, writer: asyncio.StreamWriter, heard: Callable[[Message], None], timeout_s: float) -> None:
        self._writer = writer
        self._heard = heard
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._last_id = 0
        self._came = 0
        self._waiting: dict[int, asyncio.Future[Packet]] = {}
        self._lost: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()

    async def publish(self, message: Message) -> None:
        """Return when the broker has acknowledged the message. That it delivers it nobody promises.

        Raises:
            BrokerLost: it has not; it may have it all the same.
        """
        async with self._room:
            await self._ask(lambda packet_id: packets.publish(message, packet_id), Kind.PUBACK)

    async def subscribe(self, *topics: str) -> None:
        """Be told of what is published on these topics, and of what is kept for them.

        Raises:
            BrokerRefused: it does not allow one of them.
            BrokerLost: the connection is gone.
        """
        answer = await self._ask(lambda packet_id: packets.subscribe(topics, packet_id), Kind.SUBACK)
        if packets.NOT_GRANTED in answer.codes or len(answer.codes) != len(topics):
            raise BrokerRefused(f"the broker does not let us read {', '.join(topics)}")

    async def until_lost(self) -> NoReturn:
        """Wait until the connection is gone.

        Raises:
            BrokerLost: with the reason.
        """
        await asyncio.shield(self._lost)
        raise AssertionError  # pragma: no cover - it ends with an error only

    def lose(self, error: BrokerLost) -> None:
        """End the connection, for whoever waits too."""
        if self._lost.done():
            return
        self._lost.set_exception(error)
        self._lost.exception()  # it need not be asked for
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._writer.transport.abort()

    def take(self, packet: Packet) -> None:
        """What the broker sent.

        Raises:
            BadPacket: it makes no sense now.
        """
        self._came += 1
        if packet.message is not None:
            self._heard(packet.message)
            if packet.id:
                self._writer.write(packets.puback(packet.id))
        elif packet.kind is not Kind.PINGRESP:
            waiting = self._waiting.get(packet.id)
            if waiting is None or waiting.done():
                raise BadPacket(f"a {packet.kind.name} that nobody waits for")
            waiting.set_result(packet)

    async def keep_alive(self, clock: Clock, keepalive_s: float) -> NoReturn:
        """Ask whether the broker is there, again and again: a connection may be dead without an end.

        Raises:
            BrokerLost: it does not answer.
        """
        answer_s = min(self._timeout_s, keepalive_s / 3)
        while True:
            await clock.sleep(keepalive_s - answer_s)
            came = self._came
            self._writer.write(packets.PINGREQ)
            await clock.sleep(answer_s)
            if self._came == came:
                raise BrokerLost(f"the broker was silent for {answer_s:g} s when it was asked")

    async def _ask(self, make: Callable[[int], bytes], kind: Kind) -> Packet:
        if self._lost.done() and (lost := self._lost.exception()):
            raise lost
        packet_id = self._free_id()
        waiting: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._waiting[packet_id] = waiting
        try:
            async with asyncio.timeout(self._timeout_s):
                self._writer.write(make(packet_id))
                await self._writer.drain()
                answer = await waiting
        except TimeoutError:
            error = BrokerLost(f"the broker did not answer within {self._timeout_s:g} s")
            self.lose(error)
            raise error from None
        except OSError as error:
            raise BrokerLost(f"the connection is gone: {error}") from None
        finally:
            del self._waiting[packet_id]
        if answer.kind is not kind:
            raise BrokerLost(f"the broker answered with {answer.kind.name}, not with {kind.name}")
        return answer

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % _MAX_ID + 1
            if self._last_id not in self._waiting:
                return self._last_id


@asynccontextmanager
async def connected(
    endpoint: Endpoint, hello: Hello, heard: Callable[[Message], None], clock: Clock
) -> AsyncIterator[Session]:
    """A session for as long as the block runs. `heard` is called with each message; it must be quick and not raise.

    At the end the connection is cut without a word, so that the broker publishes the will.

    Raises:
        BrokerLost: nobody is there, or not who was meant.
        BrokerRefused: the broker does not want us.
    """
    incoming = Incoming(endpoint.max_packet_bytes)
    reader, writer = await _open(endpoint)
    session = Session(writer, heard, endpoint.timeout_s)
    tasks: list[asyncio.Task[None]] = []
    try:
        writer.write(packets.connect(hello))
        await _accepted(endpoint, reader, incoming)
        reading = _read(reader, session, incoming, clock, endpoint.max_messages_s)
        works = (reading, session.keep_alive(clock, hello.keepalive_s))
        tasks.extend(asyncio.create_task(_work(session, work)) for work in works)
        yield session
    finally:
        session.lose(BrokerLost("the connection was ended here"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _open(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = (endpoint.tls_name or endpoint.host) if endpoint.tls else None
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.tls, server_hostname=name)
    except TimeoutError:
        raise BrokerLost(f"{endpoint} did not accept within {endpoint.timeout_s:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise BrokerLost(f"{endpoint} shows a certificate that is not trusted: {error.verify_message}") from None
    except OSError as error:
        raise BrokerLost(f"{endpoint} cannot be reached: {error.strerror or error}") from None


async def _accepted(endpoint: Endpoint, reader: asyncio.StreamReader, incoming: Incoming) -> None:
    """Wait for the broker's first word, and read nothing behind it."""
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            came = list(incoming.feed(await _some(reader, _CONNACK_BYTES)))
            while not came:
                came = list(incoming.feed(await _some(reader, _CONNACK_BYTES)))
        first = came[0]
        if first.kind is not Kind.CONNACK:
            raise BadPacket(f"it begins with {first.kind.name}")
        if code := first.codes[0]:
            raise BrokerRefused(f"{endpoint} refuses us: {_REFUSED.get(code, f'code {code}')}")
    except TimeoutError:
        raise BrokerLost(f"{endpoint} did not answer within {endpoint.timeout_s:g} s") from None
    except BadPacket as error:
        raise BrokerLost(f"{endpoint} does not speak MQTT 3.1.1: {error}") from None


async def _read(
    reader: asyncio.StreamReader, session: Session, incoming: Incoming, clock: Clock, max_messages_s: int
) -> NoReturn:
    """Take what comes, at that pace at most: a broker that floods us has the time that is set aside for it, no more."""
    began_s, taken = clock.monotonic_s(), 0
    while True:
        for packet in incoming.feed(await _some(reader)):
            session.take(packet)
            taken += packet.message is not None
            if taken >= max_messages_s:
                await clock.sleep(max(0.0, began_s + 1 - clock.monotonic_s()))
                began_s, taken = clock.monotonic_s(), 0


async def _some(reader: asyncio.StreamReader, max_bytes: int = _READ_BYTES) -> bytes:
    try:
        data = await reader.read(max_bytes)
    except OSError as error:
        raise BrokerLost(f"the connection is gone: {error}") from None
    if not data:
        raise BrokerLost("the broker has ended the connection")
    return data


async def _work(session: Session, work: Coroutine[None, None, NoReturn]) -> None:
    """Do it until the connection is lost by it."""
    try:
        await work
    except BrokerLost as error:
        session.lose(error)
    except BadPacket as error:
        session.lose(BrokerLost(f"the broker does not speak MQTT 3.1.1: {error}"))
