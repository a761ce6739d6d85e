"""The agent at its hub's broker: there when it is told of one, gone when not, and never sure of what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from farshore_agent.forward.courier import NoMailbox
from farshore_agent.identity.identity import Identity
from farshore_agent.orders import Orders
from farshore_agent.orders import push as room
from farshore_agent.orders.push import Push
from farshore_agent.settings import ForwardSettings
from farshore_protocol.topics import Topics, What
from farshore_shell.system import real_world
from tests.agent.orders.plain_broker import PlainBroker

HUB = b"hub-name"
TOPICS = Topics(HUB)
SETTINGS = ForwardSettings(backoff_max_s=0.05, heartbeat_s=60)


class FakeOrders(NoMailbox):
    """What a `Push` has to do with."""

    def __init__(self) -> None:
        self.broker = ""
        self.raw: bytes | None = None
        self.came: list[bytes] = []
        self._ring: Callable[[], None] = lambda: None

    def listen(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def report(self) -> bytes | None:
        return self.raw

    def take(self, raw: bytes) -> None:
        self.came.append(raw)

    def now(self, **changes: Any) -> None:  # noqa: ANN401 - any of the above
        for name, value in changes.items():
            setattr(self, name, value)
        self._ring()


class World:
    """A push at work."""

    def __init__(self, folder: Path) -> None:
        self.orders = FakeOrders()
        self.identity: Identity | None = self.new_identity()
        self._folder = folder
        self.push = Push(cast("Orders", self.orders), lambda: self.identity, folder, lambda: SETTINGS, real_world())

    def new_identity(self) -> Identity:
        return cast(
            "Identity",
            SimpleNamespace(
                site="ship-7",
                membership=SimpleNamespace(hub=HUB, ca=""),
                authorities="",
                write_chain=lambda _folder: Path("none"),
            ),
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[PlainBroker]:
        async with PlainBroker.running() as broker:
            running = asyncio.create_task(self.push.run())
            try:
                yield broker
            finally:
                running.cancel()
                await asyncio.wait((running,))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # TLS is proven with real processes; here it would hide what is said.
    monkeypatch.setattr(room, "pinned_context", lambda *_: None)
    monkeypatch.setattr(room, "_LOOK_EVERY_S", 0.02)
    return World(tmp_path)


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.005)


async def test_a_site_that_is_told_of_no_broker_connects_nowhere(world: World) -> None:
    async with world.at_work() as broker:
        await asyncio.sleep(0.1)
        assert not broker.hellos
        assert world.push.status()["state"] == "off"


async def test_it_says_who_it_is_listens_and_then_says_that_it_is_there(world: World) -> None:
    async with world.at_work() as broker:
        world.orders.now(broker=broker.place)
        await until(lambda: broker.published)
        presence = TOPICS.of("ship-7", What.PRESENCE)
        assert broker.published == [(presence, b"1", True)]
        assert len(broker.subscribed) == 1, "it listened before it said so"
        [hello] = broker.hellos
        assert hello.endswith(
            TOPICS.client_id("ship-7").encode() + len(presence).to_bytes(2, "big") + presence.encode() + b"\x00\x010"
        )


async def test_orders_that_come_are_handed_on_as_they_are(world: World) -> None:
    async with world.at_work() as broker:
        world.orders.now(broker=broker.place)
        await until(lambda: world.push.report.state == "up")
        broker.send("any/topic/at/all", b"\xff no order")
        await until(lambda: world.orders.came)
        assert world.orders.came == [b"\xff no order"]


async def test_a_report_is_published_once_in_a_connection_and_again_in_the_next(world: World) -> None:
    async with world.at_work() as broker:
        world.orders.now(broker=broker.place, raw=b"report 1")
        topic = TOPICS.of("ship-7", What.REPORT)

        def reports() -> list[tuple[str, bytes, bool]]:
            return [each for each in broker.published if each[0] == topic]

        await until(reports)
        await asyncio.sleep(0.1)
        world.orders.now(raw=b"report 2")
        await until(lambda: len(reports()) == 2)
        broker.hang_up()
        await until(lambda: len(reports()) == 3)
        assert reports() == [(topic, raw, True) for raw in (b"report 1", b"report 2", b"report 2")]
        assert world.push.report.connections == 2


async def test_it_moves_when_the_hub_names_another_broker_or_the_certificate_is_another(world: World) -> None:
    async with world.at_work() as broker, PlainBroker.running() as other:
        world.orders.now(broker=broker.place)
        await until(lambda: broker.published)
        world.orders.now(broker=other.place)
        await until(lambda: other.published)
        world.identity = world.new_identity()
        await until(lambda: len(other.hellos) == 2)
        assert len(broker.hellos) == 1
        world.orders.now(broker="")
        await until(lambda: world.push.report.state == "off")


@pytest.mark.parametrize("place", ["no place", "host:99999", "127.0.0.1:1"])
async def test_a_broker_that_is_none_is_said_and_tried_again(world: World, place: str) -> None:
    async with world.at_work() as broker:
        world.orders.now(broker=place)
        await until(lambda: world.push.report.last_error)
        assert world.push.report.state in {"down", "connecting"}
        world.orders.now(broker=broker.place)
        await until(lambda: world.push.report.state == "up")
        assert not world.push.report.last_error
