"""The hub's own broker: started with the hub, started again when it ends, and gone with the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NoReturn

from farshore_hub.broker.certificates import broker_chain
from farshore_hub.broker.configuration import Run
from farshore_hub.broker.doorkeeper import Doorkeeper
from farshore_hub.broker.nkeys import Issuer
from farshore_hub.broker.rights import Tally
from farshore_hub.broker.server import lay_out, started
from farshore_hub.errors import NotReady
from farshore_hub.fleet.ca import SERVER_LIFE
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.signin import Peer
from farshore_protocol.ports import Runner

PASSWORD_BYTES: Final = 32
RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 60.0
_LIFE_S: Final = SERVER_LIFE.total_seconds() * 2 / 3
"""After so long the broker is started anew, with another certificate."""
_LOOK_S: Final = 30.0
"""Between two looks at the hub's authorities."""

_log: Final = logging.getLogger(__name__)


class Embedded:
    """nats-server, supervised.

    Args:
        fleet: sites and the hub's CA.
        folder: the broker's own, in the data directory.
        listen: host and port for sites.
        max_connections: of sites.
        own: serial of the certificate that the hub shows at the broker.
        sign_in: the active site of a certificate.
        run: for short looks at the database and the disk.

    Attributes:
        fault: why there is no broker just now, or nothing.
        tally: what the doorkeeper has done since the start of the hub.
    """

    def __init__(
        self,
        fleet: Fleet,
        folder: Path,
        listen: tuple[str, int],
        max_connections: int,
        own: str,
        sign_in: Callable[[Peer], Awaitable[str]],
        run: Runner,
    ) -> None:
        self.fault = "not started"
        self.tally = Tally()
        self._fleet = fleet
        self._folder = folder
        self._listen = listen
        self._max_connections = max_connections
        self._own = own
        self._sign_in = sign_in
        self._run = run
        self._pause_s = RETRY_MIN_S

    async def run(self) -> NoReturn:
        """Keep a broker running, until cancelled."""
        clock = self._fleet.clock
        while True:
            began_s = clock.monotonic_s()
            try:
                self.fault = await self._live()
            except NotReady as error:
                self.fault = error.detail
            finally:
                self.fault = self.fault or "failed"
            lived_s = clock.monotonic_s() - began_s
            self._pause_s = RETRY_MIN_S if lived_s > RETRY_MAX_S else min(RETRY_MAX_S, 2 * self._pause_s)
            _log.error("%s; another one is started in %g s", self.fault, self._pause_s)
            await clock.sleep(self._pause_s)

    async def _until_due(self, trusted: bytes) -> str:
        """Return why the broker is to be started anew: what it shows grows old, or whom it trusts has changed."""
        for _ in range(int(_LIFE_S / _LOOK_S)):
            await self._fleet.clock.sleep(_LOOK_S)
            if self._fleet.keys.trusted_pem != trusted:
                return "the hub's authorities have changed"
        return "the broker's certificate is due"

    async def _live(self) -> str:
        """One life of a broker; how it ended.

        Raises:
            NotReady: it could not begin, or cannot be asked any more.
        """
        issuer, fleet = Issuer(), self._fleet
        password = fleet.random.token(PASSWORD_BYTES).hex()
        host, port = self._listen
        run = Run(self._folder, host, port, issuer.name, self._max_connections, password)
        chain, trusted = broker_chain(fleet), fleet.keys.trusted_pem
        await self._run(lambda: lay_out(run, chain, trusted))
        async with started(run, fleet.clock) as server:
            doorkeeper = Doorkeeper(fleet, issuer, self._own, self._sign_in, self._run, self.tally)
            working = asyncio.create_task(doorkeeper.work(server.url, password), name="doorkeeper")
            ended = asyncio.create_task(server.until_ended(), name="broker")
            old = asyncio.create_task(self._until_due(trusted), name="broker's certificate")
            self.fault = ""
            _log.info("the broker (process %s) listens on %s:%s", server.pid, host, port)
            try:
                await asyncio.wait((working, ended, old), return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    return ended.result()
                if working.done():
                    working.result()
                return old.result()
            finally:
                for task in (working, ended, old):
                    task.cancel()
                await asyncio.gather(working, ended, old, return_exceptions=True)
