"""Somebody at the broker with a site's real certificate, who may say anything with it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from farshore_agent.identity.tls import pinned_context
from farshore_protocol.topics import BROKER_NAME, MAX_PACKET_BYTES, Topics, What
from farshore_shell.mqtt.client import BrokerLost, BrokerRefused, Endpoint, Session, connected
from farshore_shell.mqtt.packets import Hello, Message
from farshore_shell.system import SystemClock
from tests.acceptance.client import identity_of
from tests.acceptance.commands import DEADLINE_S


class Stranger:
    """A client with the identity in a state folder."""

    def __init__(self, state: Path, port: int) -> None:
        self.identity = identity_of(state)
        self.topics = Topics(self.identity.membership.hub)
        self.own_id = self.topics.client_id(self.identity.site)
        self.heard: list[Message] = []
        self._chain = self.identity.write_chain(state / "identity")
        self._port = port

    def of(self, site: str, what: What) -> str:
        return self.topics.of(site, what)

    @contextlib.asynccontextmanager
    async def connected(self, client_id: str = "", *, signed_in: bool = True) -> AsyncIterator[Session]:
        tls = pinned_context(self.identity.membership.ca, self._chain if signed_in else None)
        endpoint = Endpoint("127.0.0.1", self._port, tls, BROKER_NAME, MAX_PACKET_BYTES, 1000)
        async with connected(
            endpoint, Hello(client_id or self.own_id, 60), self.heard.append, SystemClock()
        ) as session:
            yield session

    def is_refused(self, client_id: str = "", *, signed_in: bool = True) -> str:
        """Why it may not connect so, or nothing."""

        async def attempt() -> str:
            try:
                async with self.connected(client_id, signed_in=signed_in):
                    return ""
            except BrokerLost as error:
                return str(error)

        return asyncio.run(attempt())

    def may_read(self, *topics: str) -> list[str]:
        """Which of these it may subscribe to."""

        async def attempt(topic: str) -> bool:
            async with self.connected() as session:
                try:
                    await session.subscribe(topic)
                except BrokerRefused:
                    return False
                return True

        return [topic for topic in topics if asyncio.run(attempt(topic))]

    def publish(self, *messages: Message) -> None:
        """Say something; that the broker acknowledges it means nothing."""

        async def say() -> None:
            async with self.connected() as session:
                for message in messages:
                    await session.publish(message)

        asyncio.run(say())

    @contextlib.contextmanager
    def listening(self, client_id: str, *topics: str) -> Iterator[None]:
        """Listen to these topics for as long as the block runs."""
        ready, done = threading.Event(), threading.Event()

        async def listen() -> None:
            async with self.connected(client_id) as session:
                for topic in topics:
                    with contextlib.suppress(BrokerRefused):
                        await session.subscribe(topic)
                ready.set()
                await asyncio.to_thread(done.wait)

        listener = threading.Thread(target=asyncio.run, args=(listen(),))
        listener.start()
        try:
            assert ready.wait(DEADLINE_S)
            yield
        finally:
            done.set()
            listener.join()

    def cut_off_after(self, act: contextlib.AbstractContextManager[object]) -> float:
        """How long after that was done this client's connection is gone, in seconds."""

        async def stay() -> float:
            async with self.connected() as session:
                with act:
                    pass
                began_s = time.monotonic()
                async with asyncio.timeout(DEADLINE_S):
                    with contextlib.suppress(BrokerLost):
                        await session.until_lost()
                return time.monotonic() - began_s

        return asyncio.run(stay())


def say_anything(port: int, *messages: Message) -> None:
    """Publish as somebody whom the broker asks nothing."""

    async def say() -> None:
        endpoint = Endpoint("127.0.0.1", port, None, "", MAX_PACKET_BYTES, 1000)
        async with connected(endpoint, Hello("its-operator", 60), lambda _: None, SystemClock()) as session:
            for message in messages:
                await session.publish(message)

    asyncio.run(say())
