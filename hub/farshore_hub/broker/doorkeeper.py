"""Answers the broker's question who may connect, by the database as it is now, and cuts off who may no longer.

The broker itself knows no site. Nobody comes in while nobody answers; whoever is in is looked at again as soon as
something about the sites has changed, and every minute.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import nats
from cryptography import x509
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy.exc import SQLAlchemyError

from farshore_hub.broker.configuration import GATE, SYSTEM
from farshore_hub.broker.nkeys import Issuer, claims_of
from farshore_hub.broker.rights import (
    Guest,
    Knock,
    Tally,
    hub_guest,
    read_knock,
    site_guest,
    turn_away,
    welcome,
)
from farshore_hub.errors import Forbidden, HubError, NotReady, Unauthenticated
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.signin import Peer, peer_of, sites_of
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading
from farshore_protocol.ports import Runner
from farshore_protocol.topics import Topics

QUESTION: Final = "$SYS.REQ.USER.AUTH"
AT_ONCE: Final = 256
"""Questions that are answered at a time."""
MAX_WAITING: Final = 20_000
MAX_AT_ONCE: Final = 1000
ANSWER_S: Final = 10.0
LOOK_EVERY_S: Final = 0.5
LOOK_AT_ALL_EVERY_S: Final = 60.0
_US_PER_S: Final = 1_000_000

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inside:
    """A connection that was let in, or is about to be."""

    server: str
    connection: int
    client_id: str
    peer: Peer


class Doorkeeper:
    """Of one run of the broker.

    Args:
        fleet: sites and their certificates.
        issuer: whose word the broker takes.
        own: serial of the certificate that the hub itself shows.
        sign_in: the active site of a certificate, by the database as it is now; for many at once.
        run: for looks at the database.
    """

    def __init__(
        self,
        fleet: Fleet,
        issuer: Issuer,
        own: str,
        sign_in: Callable[[Peer], Awaitable[str]],
        run: Runner,
        tally: Tally,
    ) -> None:
        self._fleet = fleet
        self._topics = Topics(fleet.keys.hub)
        self._issuer = issuer
        self._own = own
        self._sign_in = sign_in
        self._run = run
        self._tally = tally
        self._system: Client | None = None
        self._asking: dict[int, Inside] = {}
        self._inside: dict[str, Inside] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._answering: set[asyncio.Task[None]] = set()

    async def work(self, url: str, password: str) -> NoReturn:
        """Answer and cut off, until cancelled.

        Raises:
            NotReady: the broker cannot be asked.
        """
        async with _connected(url, GATE, password) as gate, _connected(url, SYSTEM, password) as system:
            self._system = system
            await gate.subscribe(QUESTION, cb=self._take, pending_msgs_limit=MAX_WAITING)
            await gate.flush()
            await self._watch(system)

    async def _take(self, asked: Msg) -> None:
        """A question. The next one is taken when there is room."""
        await self._room.acquire()
        answering = asyncio.create_task(self._answer(asked))
        self._answering.add(answering)
        answering.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._answering.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("a question of the broker could not be answered: %s", error, exc_info=error)

    async def _answer(self, asked: Msg) -> None:
        knock = read_knock(claims_of(asked.data))
        now_s = self._fleet.clock.now_us() // _US_PER_S
        try:
            guest = await self._guest(knock)
        except HubError as error:
            self._tally.turned_away[error.kind] += 1
            _log.warning("the broker does not let %r in: %s", knock.client_id[:100], error)
            answer = turn_away(knock, error.kind, self._issuer, now_s)
        else:
            self._tally.let_in += 1
            answer = welcome(knock, guest, self._issuer, now_s)
        await asked.respond(answer)

    async def _guest(self, knock: Knock) -> Guest:
        """Who it is.

        Raises:
            Unauthenticated, SiteRevoked, Forbidden: nobody who may connect.
        """
        certificate = _certificate(knock)
        peer = peer_of(knock.certificate)
        until_s = int(certificate.not_valid_after_utc.timestamp())
        if peer.serial == self._own:
            return hub_guest(self._topics, until_s)
        if knock.client_id != self._topics.client_id(peer.name):
            raise Forbidden(f"a client with the certificate of {peer.name} has another name")
        return site_guest(self._topics, await self._admitted(knock, peer), until_s)

    async def _admitted(self, knock: Knock, peer: Peer) -> str:
        """The site, if it may come in. It is inside once at most: who was there under its name is cut off.

        Raises:
            Unauthenticated, SiteRevoked: it may not.
        """
        here = Inside(knock.server, knock.connection, knock.client_id, peer)
        # Noted before the database is asked: who is shut out meanwhile is seen by the next look.
        self._asking[knock.connection] = here
        try:
            site = await self._sign_in(peer)
            before = self._inside.get(knock.client_id)
            self._inside[knock.client_id] = here
            if before is not None:
                await self._kick(before)
        finally:
            del self._asking[knock.connection]
        return site

    async def _watch(self, system: Client) -> NoReturn:
        """Look after those who are inside: all of them when something about the sites has changed, and now and then."""
        clock, seen, looked_s = self._fleet.clock, None, -LOOK_AT_ALL_EVERY_S
        while True:
            try:
                stamp = await self._run(self._stamp)
                if stamp != seen or clock.monotonic_s() >= looked_s + LOOK_AT_ALL_EVERY_S:
                    await self._cut_off()
                    seen, looked_s = stamp, clock.monotonic_s()
            except SQLAlchemyError as error:
                # Nobody new comes in meanwhile, and nobody can be revoked.
                _log.warning("the database does not say who may be at the broker: %s", error)
            if not system.is_connected:
                raise NotReady("the broker cannot be asked any more")
            await clock.sleep(LOOK_EVERY_S)

    def _stamp(self) -> tuple[int, ...]:
        with reading(self._fleet.engine) as connection:
            return store.stamp(connection)

    async def _cut_off(self) -> None:
        """End the connections of all who may no longer be connected."""
        inside = [*self._asking.values(), *self._inside.values()]
        for start in range(0, len(inside), MAX_AT_ONCE):
            some = inside[start : start + MAX_AT_ONCE]
            sites = await self._run(partial(sites_of, self._fleet, [each.peer for each in some]))
            for each, site in zip(some, sites, strict=True):
                if isinstance(site, Exception):
                    _log.warning("the broker cuts %s off: %s", each.client_id, site)
                    self._tally.cut_off += 1
                    await self._kick(each)
                    if self._inside.get(each.client_id) is each:
                        del self._inside[each.client_id]

    async def _kick(self, who: Inside) -> None:
        """End a connection; one that has ended already is no fault.

        Raises:
            NotReady: the broker does not answer.
        """
        if self._system is None:
            raise NotReady("the broker cannot be asked yet")
        told = json.dumps({"cid": who.connection}).encode()
        try:
            # A question, because the broker does nothing for who wants no answer.
            await self._system.request(f"$SYS.REQ.SERVER.{who.server}.KICK", told, timeout=ANSWER_S)
        except (nats.errors.Error, OSError) as error:
            raise NotReady(f"the broker does not cut off who it should: {error!r}") from None


def _certificate(knock: Knock) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(knock.certificate.encode())
    except ValueError:
        raise Unauthenticated("there is no certificate") from None


@asynccontextmanager
async def _connected(url: str, user: str, password: str) -> AsyncIterator[Client]:
    """A connection to the broker's loopback port.

    Raises:
        NotReady: there is none.
    """
    try:
        client = await nats.connect(url, user=user, password=password, allow_reconnect=False, error_cb=_tell)
    except (OSError, nats.errors.Error) as error:
        raise NotReady(f"the broker cannot be asked: {error}") from None
    try:
        yield client
    finally:
        await client.close()


async def _tell(error: Exception) -> None:
    _log.warning("the connection to the broker: %s", error)
