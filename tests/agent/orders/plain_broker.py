"""A broker on loopback, without TLS, that accepts everything, writes down what it is told, and can send and hang up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from farshore_shell.mqtt import packets
from farshore_shell.mqtt.packets import Message

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


class PlainBroker:
    """What happened: `hellos` and `published`, in order; `subscribed` are whole packets."""

    def __init__(self) -> None:
        self.place = ""
        self.hellos: list[bytes] = []
        self.subscribed: list[bytes] = []
        self.published: list[tuple[str, bytes, bool]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[PlainBroker]:
        broker = cls()
        server = await asyncio.start_server(broker._serve, "127.0.0.1")
        broker.place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield broker
            broker.hang_up()

    def send(self, topic: str, payload: bytes) -> None:
        for writer in self._writers:
            writer.write(packets.publish(Message(topic, payload), 1))

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                first = (await reader.readexactly(1))[0]
                self._answer(first, await reader.readexactly(await _length(reader)), writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    def _answer(self, first: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        if first >> 4 == CONNECT:
            self.hellos.append(body)
            writer.write(b"\x20\x02\x00\x00")
        elif first >> 4 == SUBSCRIBE:
            self.subscribed.append(body)
            writer.write(b"\x90\x04" + body[:2] + b"\x00\x00")
        elif first >> 4 == PUBLISH:
            end = 2 + int.from_bytes(body[:2], "big")
            self.published.append((body[2:end].decode(), body[end + 2 :], bool(first & 1)))
            writer.write(packets.puback(int.from_bytes(body[end : end + 2], "big")))


async def _length(reader: asyncio.StreamReader) -> int:
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return length
