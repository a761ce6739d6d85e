"""Orders by MQTT, at once: a connection to the broker that the hub names, as long as it names one.

It brings what the hub's answers bring too, only sooner, and tells the hub that the site is there. Nothing that the
broker says is believed: orders prove themselves (`Orders.take`). Without a broker nothing of it is loaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from farshore_agent.errors import AgentError
from farshore_agent.forward.bell import Bell
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.tls import pinned_context
from farshore_agent.orders.orders import Orders
from farshore_agent.settings import ForwardSettings
from farshore_protocol.topics import ABSENT, BROKER_NAME, MAX_PACKET_BYTES, PRESENT, READ_BY_SITE, Topics, What
from farshore_protocol.topics import split_broker as split
from farshore_shell.system import World

if TYPE_CHECKING:
    from farshore_shell.mqtt.client import Session
    from farshore_shell.mqtt.packets import Message

KEEPALIVE_MIN_S: Final = 5
KEEPALIVE_MAX_S: Final = 600
MAX_MESSAGES_S: Final = 5
"""More orders than that no hub has for a site."""
SPREAD_S: Final = 30.0
"""A broker that was restarted loses all sites at one moment; within this time they come back."""

_OFF_S: Final = 60.0
_LOOK_EVERY_S: Final = 2.0
_LOG: Final = logging.getLogger(__name__)


class _Stale(Exception):
    """The connection is fine, and no longer the right one."""


@dataclass(slots=True)
class PushReport:
    """How it stands, for people.

    Attributes:
        state: off (the hub names no broker), connecting, up, or down.
        connections: that were made since the start of the agent.
    """

    state: str = "off"
    broker: str = ""
    last_error: str = ""
    connections: int = 0


class Push:
    """The site at its hub's broker.

    Args:
        orders: what comes goes there, and what is to be said comes from there.
        identity: in force just now.
        identity_dir: where its certificate lies.
        settings: of forwarding, as they are now: how long to pause after failures, how often to show a sign of life.
    """

    def __init__(
        self,
        orders: Orders,
        identity: Callable[[], Identity | None],
        identity_dir: Path,
        settings: Callable[[], ForwardSettings],
        world: World,
    ) -> None:
        self.report = PushReport()
        self._orders = orders
        self._identity = identity
        self._identity_dir = identity_dir
        self._settings = settings
        self._world = world
        self._bell = Bell()
        self._failures = 0
        orders.listen(self._bell.ring)

    def status(self) -> dict[str, Any]:
        """For the status document."""
        shown: dict[str, Any] = msgspec.to_builtins(self.report)
        return shown

    async def run(self) -> NoReturn:
        """Be connected whenever there is a broker, until cancelled."""
        while True:
            identity, place = self._identity(), self._orders.broker
            if identity is None or not place:
                self.report.state, self.report.broker = "off", ""
                await self._bell.sleep(self._world.clock, _OFF_S)
                continue
            self.report.state, self.report.broker = "connecting", place
            try:
                await self._attend(identity, place)
            except _Stale:
                continue
            except (AgentError, ValueError) as error:
                self._note(str(error))
            await self._world.clock.sleep(self._pause_s())

    async def _attend(self, identity: Identity, place: str) -> None:
        """One connection, until it is lost.

        Raises:
            _Stale: another one is to be made at once.
            AgentError: the certificate cannot be used.
            ValueError: the hub names something that is no place.
        """
        from farshore_shell.mqtt.client import BrokerLost, Endpoint, connected  # noqa: PLC0415 - see the header
        from farshore_shell.mqtt.packets import Hello, Message  # noqa: PLC0415

        host, port = split(place)
        tls = pinned_context(identity.authorities, identity.write_chain(self._identity_dir))
        topics, site = Topics(identity.membership.hub), identity.site
        presence = topics.of(site, What.PRESENCE)
        keepalive_s = int(min(KEEPALIVE_MAX_S, max(KEEPALIVE_MIN_S, self._settings().heartbeat_s)))
        hello = Hello(topics.client_id(site), keepalive_s, will=Message(presence, ABSENT, retain=True))
        endpoint = Endpoint(host, port, tls, BROKER_NAME, MAX_PACKET_BYTES, MAX_MESSAGES_S, self._settings().timeout_s)
        try:
            async with connected(endpoint, hello, self._hear, self._world.clock) as session:
                await session.subscribe(*(topics.of(site, what) for what in READ_BY_SITE))
                await session.publish(Message(presence, PRESENT, retain=True))
                self.report.state, self.report.last_error = "up", ""
                self.report.connections += 1
                self._failures = 0
                _LOG.info("connected to the hub's broker at %s", place)
                await self._speak(session, topics.of(site, What.REPORT), identity, place)
        except BrokerLost as error:
            self._note(str(error))

    async def _speak(self, session: Session, topic: str, identity: Identity, place: str) -> NoReturn:
        """Publish every new report; look whether the connection is still the right one, and there."""
        from farshore_shell.mqtt.packets import Message  # noqa: PLC0415

        lost = asyncio.ensure_future(session.until_lost())
        said = b""
        try:
            while True:
                if self._identity() is not identity or self._orders.broker != place:
                    raise _Stale
                raw = self._orders.report()
                if raw is not None and raw != said:
                    await session.publish(Message(topic, raw, retain=True))
                    said = raw
                nap = asyncio.ensure_future(self._bell.sleep(self._world.clock, _LOOK_EVERY_S))
                await asyncio.wait((lost, nap), return_when=asyncio.FIRST_COMPLETED)
                nap.cancel()
                if lost.done():
                    lost.result()
        finally:
            lost.cancel()

    def _hear(self, message: Message) -> None:
        self._orders.take(message.payload)

    def _note(self, why: str) -> None:
        if self.report.state == "connecting":
            self._failures += 1
        self.report.state, self.report.last_error = "down", why
        _LOG.info("orders come with parcels only: %s", why)

    def _pause_s(self) -> float:
        """Full jitter, so that sites that lost one broker do not come back as one."""
        most_s = SPREAD_S * 2.0 ** min(self._failures, 10)
        return self._world.random.uniform(0, min(self._settings().backoff_max_s, most_s))
