"""Alerts over a real Mosquitto: acknowledged, refused, unreachable, and with TLS."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore_hub.notify.channel import NotDelivered
from farshore_hub.notify.mqtt import Broker, Mqtt
from farshore_hub.store.messages import Message
from tests.contracts.hub_world import threaded
from tests.hub.notify.broker import PASSWORD, USER, RunningBroker, Subscriber, running_broker
from tests.hub.notify.certificates import make_certificate

ALERTS = [{"id": n, "kind": "gap", "site": site, "text": "é"} for n, site in enumerate(["ship-1", "ship-2", ""])]
BODY = json.dumps({"version": 1, "hub": "ab12", "made_us": 7, "alerts": ALERTS})
MESSAGE = Message(1, "mqtt", "key-of-this", BODY, 0, 0)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


def channel(port: int, prefix: str = "farshore", **changed: Any) -> Mqtt:  # noqa: ANN401
    facts: dict[str, Any] = {"tls": None, "username": USER, "password": PASSWORD, "timeout_s": 20}
    return Mqtt(Broker("127.0.0.1", port, **facts | changed), prefix, threaded)


async def why(told: Mqtt) -> str:
    with pytest.raises(NotDelivered) as caught:
        await told.send(MESSAGE)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


async def test_each_alert_has_a_topic_of_its_own(broker: RunningBroker) -> None:
    with Subscriber(broker.port, "farshore/#") as subscriber:
        await channel(broker.port).send(MESSAGE)
        heard = await asyncio.to_thread(subscriber.wait_for, 3)
    assert [topic for topic, _ in heard] == [f"farshore/ab12/alerts/gap/{site}" for site in ("ship-1", "ship-2", "-")]
    assert json.loads(heard[0][1]) == {"version": 1, "hub": "ab12", "made_us": 7, "key": "key-of-this", **ALERTS[0]}


async def test_what_the_broker_refuses_is_not_delivered(broker: RunningBroker) -> None:
    assert "refuses" in await why(channel(broker.port, prefix="elsewhere"))
    assert "refuses" in await why(channel(broker.port, password=PASSWORD + "?"))


async def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    with running_broker(tmp_path) as gone:
        pass
    assert "cannot be reached" in await why(channel(gone.port))


async def test_a_broker_that_does_not_answer_is_left_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        told = channel(server.sockets[0].getsockname()[1], timeout_s=0.2)
        assert "does not answer" in await why(told)


async def test_a_broker_s_certificate_is_verified(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with running_broker(tmp_path, certificate=certificate) as broker:
        assert "not trusted" in await why(channel(broker.port, tls=ssl.create_default_context()))
        gc.collect()
        await channel(broker.port, tls=ssl.create_default_context(cafile=certificate)).send(MESSAGE)


def test_a_broker_tells_no_password() -> None:
    assert PASSWORD not in repr(channel(1))
