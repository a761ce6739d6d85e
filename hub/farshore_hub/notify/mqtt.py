"""An MQTT broker that is told of alerts: one message each, QoS 1, on `PREFIX/HUB/alerts/KIND/SITE`.

MQTT 5, because only there a broker that refuses a message says so. The client's own thread talks to the broker; what is
here runs on a thread of `runner`, which waits for the broker's acknowledgement.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from farshore_hub.notify.channel import NotDelivered
from farshore_hub.store.messages import Message
from farshore_protocol.ports import Runner

KEEPALIVE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are there."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str
    password: str = field(repr=False)
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker as a channel. A connection lives as long as one message of up to a hundred alerts."""

    broker: Broker
    prefix: str
    runner: Runner
    name: str = "mqtt"

    async def send(self, message: Message) -> None:
        """Publish what a message tells.

        Raises:
            NotDelivered: for any reason; the text says which.
        """
        await self.runner(lambda: self._publish(message))

    async def close(self) -> None:
        """Nothing is kept open."""

    def _publish(self, message: Message) -> None:
        told = json.loads(message.body)
        with _connected(self.broker) as session:
            for alert in told["alerts"]:
                topic = f"{self.prefix}/{told['hub']}/alerts/{alert['kind']}/{alert['site'] or '-'}"
                envelope = {name: told[name] for name in ("version", "hub", "made_us")}
                session.publish(topic, json.dumps({**envelope, "key": message.key, **alert}))
            session.wait()


class _Socket(ssl.SSLSocket):
    """The library lets go of a socket whose handshake failed without closing it."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class _Session:
    """One connection; its client calls back on a thread of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._answered = threading.Event()
        self._refused = ""
        self._sent: list[MQTTMessageInfo] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.connect_timeout = broker.timeout_s
        self.client.on_connect = self._on_connect
        self.client.on_publish = self._on_publish
        if broker.username:
            self.client.username_pw_set(broker.username, broker.password or None)
        if broker.tls:
            broker.tls.sslsocket_class = _Socket
            self.client.tls_set_context(broker.tls)

    def open(self) -> None:
        self.client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        self.client.loop_start()
        if not self._answered.wait(self._broker.timeout_s):
            raise NotDelivered("the broker does not answer")
        self._check()

    def publish(self, topic: str, payload: str) -> None:
        info = self.client.publish(topic, payload, qos=1)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotDelivered(f"the broker cannot be told: {info.rc.name}")
        self._sent.append(info)

    def wait(self) -> None:
        for info in self._sent:
            info.wait_for_publish(self._broker.timeout_s)
            self._check()
            if not info.is_published():
                raise NotDelivered("the broker does not acknowledge")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _check(self) -> None:
        if self._refused:
            raise NotDelivered(f"the broker refuses: {self._refused}")

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401 - the library's signature
        self._note(reason)
        self._answered.set()

    def _on_publish(self, _client: Any, _data: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401 - the library's signature
        self._note(reason)

    def _note(self, reason: ReasonCode) -> None:
        if reason.is_failure:
            self._refused = str(reason)


@contextmanager
def _connected(broker: Broker) -> Iterator[_Session]:
    session = _Session(broker)
    try:
        session.open()
        yield session
    except ssl.SSLCertVerificationError as error:
        raise NotDelivered(f"the broker's certificate is not trusted: {error.verify_message}") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise NotDelivered(f"the broker cannot be reached: {type(error).__name__}") from None
    finally:
        session.close()
