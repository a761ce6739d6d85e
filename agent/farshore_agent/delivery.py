"""The way to the hub as it is now: none before the enrolment, another one whenever the identity changes.

With each identity a new key epoch begins, so nothing is ever sealed under a key that another identity announced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from farshore_agent.buffer import Buffer
from farshore_agent.errors import NotEnrolled
from farshore_agent.forward.courier import Courier, Credentials, Mailbox, NoMailbox
from farshore_agent.forward.forwarder import Forwarder, Outside
from farshore_agent.forward.https import HttpsLink
from farshore_agent.forward.hub_http import HubDoor
from farshore_agent.forward.report import LinkReport
from farshore_agent.identity.epoch import new_epoch
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.keeper import Keeper
from farshore_agent.identity.road import Road
from farshore_agent.settings import ForwardSettings
from farshore_protocol.ports import Runner
from farshore_shell.system import World

_LOG: Final = logging.getLogger(__name__)
_RETRY_S: Final = 5.0


class Delivery:
    """Forwards while there is an identity.

    Attributes:
        report: how the link stands, always.
        mailbox: where orders go that answers bring, and where reports come from.
    """

    def __init__(
        self,
        *,
        buffer: Buffer,
        settings: ForwardSettings,
        identity_dir: Path,
        world: World,
        road: Road,
        runner: Runner,
        on_delivered: Callable[[], None],
        on_linked: Callable[[], None],
    ) -> None:
        self._buffer = buffer
        self._settings = settings
        self._identity_dir = identity_dir
        self._world = world
        self._road = road
        self._runner = runner
        self._on_delivered = on_delivered
        self._on_linked = on_linked
        self._courier: Courier | None = None
        self._forwarder: Forwarder | None = None
        self._forwarding: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._hub: HubDoor | None = None
        self.report = LinkReport()
        self.mailbox: Mailbox = NoMailbox()
        self.keeper = Keeper(identity_dir, settings.hub, world, road, self.hub_now_us)

    @property
    def link_up(self) -> bool:
        """Whether the last exchange succeeded."""
        return self._forwarder is not None and self._forwarder.link_up

    def wake(self) -> None:
        """There is something new to send."""
        if self._forwarder is not None:
            self._forwarder.wake()

    def ask_hub(self) -> None:
        """Have an exchange soon, whatever there is to send."""
        if self._forwarder is not None:
            self._forwarder.ask_hub()

    async def courier(self) -> Courier:
        """Packs and opens parcels for the identity in force.

        Raises:
            NotEnrolled, IdentityError: there is none.
        """
        identity = self.keeper.current
        if identity is None:
            raise self.keeper.problem or NotEnrolled("there is no identity")
        return self._courier or await self._begin(identity)

    def open_hub(self) -> HubDoor:
        """A door of its own for whoever asks beside the forwarder, signed in as the identity in force; to be closed.

        Raises:
            NotEnrolled, IdentityError: there is no identity.
            LinkError: an address is none.
        """
        identity = self.keeper.current
        if identity is None:
            raise self.keeper.problem or NotEnrolled("there is no identity")
        return self._door_as(identity)

    async def run(self) -> NoReturn:
        """Forward under each identity in turn, until cancelled."""
        identity = self.keeper.current
        try:
            while True:
                await self._begin_anew(identity)
                identity = await self.keeper.other_than(identity)
        finally:
            await self._stop_forwarding()

    async def use(self, settings: ForwardSettings) -> None:
        """Go on under other settings, at once: a spread start is for a fleet that was switched on."""
        self._settings = replace(settings, spread_start_s=0)
        self.keeper.use_addresses(settings.hub)
        if self._forwarding is not None:
            await self._begin_anew(self.keeper.current)

    async def _begin_anew(self, identity: Identity | None) -> None:
        async with self._one_at_a_time:
            await self._stop_forwarding()
            self._forwarder = self._courier = None
            self._forwarding = asyncio.create_task(self._forward(identity), name="forwarder")

    async def last_words(self, within_s: float) -> None:
        """Stop forwarding, with one last exchange if the link is up. Before `run` is cancelled."""
        await self._stop_forwarding()
        if self._forwarder is None:
            return
        try:
            async with asyncio.timeout(within_s):
                await self._forwarder.last_words(within_s)
        except Exception as error:  # noqa: BLE001 - nothing is lost: the next start sends it
            _LOG.info("the last exchange did not succeed: %s", error)
        finally:
            await self._close_hub()

    async def _stop_forwarding(self) -> None:
        if self._forwarding is not None:
            self._forwarding.cancel()
            await asyncio.wait((self._forwarding,))
            self._forwarding = None

    async def _close_hub(self) -> None:
        if self._hub is not None:
            await self._hub.close()

    async def _forward(self, identity: Identity | None) -> None:
        if identity is None:
            self.report.up, self.report.state = False, "not enrolled"
            return
        while True:
            try:
                await self._forward_as(identity)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown and tried again
                self.report.state, self.report.last_error = "failed", str(error)
                _LOG.exception("the link cannot be used; trying again")
                await self._world.clock.sleep(_RETRY_S)

    async def _forward_as(self, identity: Identity) -> NoReturn:
        courier = await self._begin(identity)
        self._hub = hub = self._door_as(identity)
        self.report.address, self.report.state = hub.address, "starting"
        self._forwarder = Forwarder(
            buffer=self._buffer,
            link=HttpsLink(hub),
            courier=courier,
            settings=self._settings,
            clock=self._world.clock,
            random=self._world.random,
            report=self.report,
            outside=Outside(
                self.keeper.ask_renewal,
                self.keeper.doubt,
                lambda: self._new_epoch(identity),
                self._on_delivered,
                self._on_linked,
            ),
        )
        try:
            await self._forwarder.run()
        finally:
            await self._close_hub()

    def _door_as(self, identity: Identity) -> HubDoor:
        chain = identity.write_chain(self._identity_dir)
        return self._road(self.keeper.addresses(identity), ca=identity.authorities, chain=chain)

    async def _begin(self, identity: Identity) -> Courier:
        await self._new_epoch(identity)
        self._courier = Courier(
            self._buffer, _credentials(identity), self._world.clock, self._runner, self.mailbox, self._follow
        )
        return self._courier

    def _follow(self, chain: Sequence[bytes]) -> Credentials | None:
        identity = self.keeper.follow(chain)
        return _credentials(identity) if identity else None

    async def new_epoch(self) -> None:
        """Seal under a fresh key from now on, if there is an identity."""
        if self.keeper.current is not None:
            await self._new_epoch(self.keeper.current)

    async def _new_epoch(self, identity: Identity) -> None:
        await self._buffer.use_epoch(*new_epoch(identity, self._world.clock, self._world.random))

    def hub_now_us(self) -> int | None:
        """The hub's time, once an answer has told it."""
        offset = self.report.offset
        return None if offset is None else self._world.clock.now_us() + offset.offset_us


def _credentials(identity: Identity) -> Credentials:
    return Credentials(identity.site, identity.signer, identity.hub_keys, identity.membership.keyring)
