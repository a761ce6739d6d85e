"""The hub as a client of a broker, its own or another: orders out, reports and presence in.

The broker is believed in nothing. What it loses is published again after each new connection, and goes with the answer
to the site's next parcel anyway; what it makes up or repeats is no site's report; what it floods is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NoReturn, Protocol

from farshore_hub.work.bell import Bell
from farshore_protocol.limits import MIB
from farshore_protocol.ports import Runner
from farshore_protocol.topics import HUB_CLIENT, PRESENT, Topics, What
from farshore_shell.mqtt.client import BrokerLost, Endpoint, Session, connected
from farshore_shell.mqtt.packets import Hello, Message
from farshore_shell.system import World

KEEPALIVE_S: Final = 30
RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 30.0
LOOK_EVERY_S: Final = 0.1
"""How often it is asked what is to be published; another process of this hub may have made it."""

MAX_REPORTS: Final = 256
"""Of one transaction."""
TAKE_EVERY_S: Final = 0.05
MAX_WAITING_BYTES: Final = 64 * MIB
"""Reports that wait to be taken; only the newest of a site does."""
MAX_SITES: Final = 200_000
"""Of which the presence is noted."""

_log: Final = logging.getLogger(__name__)


class Outgoing(Protocol):
    """An order that no broker has taken yet."""

    @property
    def id(self) -> int:
        """Its own."""
        ...

    @property
    def site(self) -> str:
        """Whose."""
        ...

    @property
    def kind(self) -> str:
        """`settings` or `command`."""
        ...

    @property
    def raw(self) -> bytes:
        """Sealed and signed."""
        ...


class Desk(Protocol):
    """Where orders come from and reports go; blocking."""

    def unpublished(self) -> Sequence[Outgoing]:
        """Some of the orders that no broker has taken, the oldest first."""
        ...

    def published(self, ids: Collection[int]) -> None:
        """The broker has taken these."""
        ...

    def publish_again(self, sites: Collection[str] | None = None) -> None:
        """What is open is to be published once more; of these sites, or of all."""
        ...

    def take_reports(self, brought: Sequence[tuple[bytes, str]]) -> Sequence[int | Exception]:
        """Take reports that came from sites; for each a number, or why it is not taken."""
        ...


@dataclass(slots=True)
class PushTally:
    """Counts since the start of the hub. `refused` is by reason; what is dropped comes with the site's next parcel."""

    published: int = 0
    taken: int = 0
    dropped: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Push:
    """One connection to a broker, made again and again.

    Attributes:
        fault: why there is none just now, or nothing.
        present: sites that are connected, as the broker says.
        bell: there are orders; rung by whoever makes them in this process.
    """

    def __init__(self, desk: Desk, hub: bytes, endpoint: Endpoint, hello: Hello, world: World, run: Runner) -> None:
        self.fault = "not connected yet"
        self.present: set[str] = set()
        self.tally = PushTally()
        self.bell = Bell()
        self._desk = desk
        self._topics = Topics(hub)
        self._endpoint = endpoint
        self._hello = hello
        self._world = world
        self._run = run
        self._reports: dict[str, bytes] = {}
        self._waiting_bytes = 0
        self._came = asyncio.Event()
        self._back: set[str] = set()

    async def run(self) -> NoReturn:
        """Stay connected, until cancelled."""
        pause_s = RETRY_MIN_S
        while True:
            try:
                await self._connection()
            except BrokerLost as error:
                pause_s = min(RETRY_MAX_S, 2 * pause_s) if self.fault else RETRY_MIN_S
                if str(error) != self.fault:
                    _log.warning("orders go with parcels only: %s", error)
                self.fault = str(error)
            finally:
                self.present.clear()
                self.fault = self.fault or "failed"
            await self._world.clock.sleep(self._world.random.uniform(0, pause_s))

    async def _connection(self) -> NoReturn:
        async with connected(self._endpoint, self._hello, self._hear, self._world.clock) as session:
            await session.subscribe(self._topics.of_all(What.REPORT), self._topics.of_all(What.PRESENCE))
            await self._run(self._desk.publish_again)
            self.fault = ""
            _log.info("connected to the broker at %s", self._endpoint)
            works = [asyncio.create_task(work) for work in (self._publish(session), self._take(), session.until_lost())]
            try:
                done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                for task in works:
                    task.cancel()
                await asyncio.gather(*works, return_exceptions=True)
        raise AssertionError  # pragma: no cover - it ends with an error only

    async def _publish(self, session: Session) -> NoReturn:
        while True:
            if self._back:
                back, self._back = self._back, set()
                await self._run(partial(self._desk.publish_again, back))
            orders = await self._run(self._desk.unpublished)
            await asyncio.gather(*(self._send(session, each) for each in orders))
            if orders:
                await self._run(partial(self._desk.published, [each.id for each in orders]))
                self.tally.published += len(orders)
            else:
                await self.bell.sleep(self._world.clock, LOOK_EVERY_S)

    async def _send(self, session: Session, order: Outgoing) -> None:
        what = What(order.kind)
        await session.publish(Message(self._topics.of(order.site, what), order.raw, retain=what is What.SETTINGS))

    async def _take(self) -> NoReturn:
        while True:
            await self._came.wait()
            some = [(self._reports.pop(site), site) for site in list(self._reports)[:MAX_REPORTS]]
            self._waiting_bytes -= sum(len(raw) for raw, _ in some)
            if not self._reports:
                self._came.clear()
            outcomes = await self._run(partial(self._desk.take_reports, some))
            for (_, site), taken in zip(some, outcomes, strict=True):
                if isinstance(taken, Exception):
                    self.tally.refused[type(taken).__name__] += 1
                    _log.warning("a report that came for %s over MQTT is not taken: %s", site, taken)
                else:
                    self.tally.taken += 1
            # One site that reports without a pause is no transaction each time.
            await self._world.clock.sleep(TAKE_EVERY_S)

    def _hear(self, message: Message) -> None:
        read = self._topics.read(message.topic)
        if read is None:
            return
        site, what = read
        if what is What.PRESENCE:
            self._note_presence(site, message)
        elif what is What.REPORT:
            self._keep(site, message.payload)

    def _note_presence(self, site: str, message: Message) -> None:
        if message.payload != PRESENT:
            self.present.discard(site)
        elif len(self.present) < MAX_SITES:
            self.present.add(site)
            if not message.retain:
                # It has subscribed by now; a command that came before is told again.
                self._back.add(site)

    def _keep(self, site: str, raw: bytes) -> None:
        held = len(self._reports.get(site, b""))
        if self._waiting_bytes + len(raw) - held > MAX_WAITING_BYTES:
            self.tally.dropped += 1
            return
        self._waiting_bytes += len(raw) - held
        self._reports[site] = raw
        self._came.set()


def hello_of(username: str, password: str) -> Hello:
    """How the hub introduces itself."""
    return Hello(HUB_CLIENT, KEEPALIVE_S, username=username, password=password)
