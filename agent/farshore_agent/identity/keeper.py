"""Keeps the identity that is in force: notices an enrolment, renews in time, and tells when it has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from farshore_agent.errors import AgentError, NotEnrolled
from farshore_agent.identity.identity import FILE, Identity
from farshore_agent.identity.renewal import ask_keyrings, due_us, renew
from farshore_agent.identity.road import Road
from farshore_shell.system import World

_LOG: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 2.0
_RETRY_MIN_S: Final = 30.0
_RETRY_MAX_S: Final = 3_600.0
_SPREAD_S: Final = 3_600.0
"""Within this time all sites get a certificate of another authority."""


class Keeper:
    """The identity in one folder. `run` looks after it; everybody else only reads.

    Attributes:
        current: the identity in force, if there is one.
        problem: why there is none, or why it could not be renewed; None when all is well.
    """

    def __init__(
        self, folder: Path, addresses: Sequence[str], world: World, road: Road, hub_now_us: Callable[[], int | None]
    ) -> None:
        self._folder = folder
        self._addresses = tuple(addresses)
        self._world = world
        self._road = road
        self._hub_now_us = hub_now_us
        self._stamp: tuple[int, int] | None = None
        self._jitter = world.random.uniform(0, 1)
        self._asked = self._doubt = ""
        self._not_before_s = self._spread_s = 0.0
        self._pause_s = _RETRY_MIN_S
        self._changed = asyncio.Event()
        self.current: Identity | None = None
        self.problem: AgentError | None = None
        self.look()

    def addresses(self, identity: Identity) -> tuple[str, ...]:
        """Where the hub is: as the settings say, or as the hub said."""
        return self._addresses or tuple(identity.membership.addresses)

    def use_addresses(self, addresses: Sequence[str]) -> None:
        """Other addresses of the settings."""
        self._addresses = tuple(addresses)

    def ask_renewal(self, why: str) -> None:
        """The hub does not accept what is in force; renew before it is due."""
        self._asked = why

    def doubt(self, why: str, untrusted: bool) -> None:  # noqa: FBT001 - what `Outside.doubt` is
        """Nobody answers, or somebody who is not trusted: perhaps the hub has other keys, or takes ours no more."""
        self._spread_s = 0.0
        if untrusted:
            self._doubt = why

    def follow(self, chain: Sequence[bytes]) -> Identity | None:
        """The identity in force after following the hub's keyrings, from whomever they came.

        What cannot be saved is not followed: it comes again.
        """
        before = self.current
        if before is None or (followed := before.following(chain)) is before:
            return before
        try:
            followed.save(self._folder)
        except OSError as error:
            _LOG.error("the hub's new keys cannot be saved: %s", error)
            return before
        self.look()
        _LOG.info("the hub has other keys: keyring %s", followed.membership.keyring)
        self._spread_s = self._world.clock.monotonic_s() + _SPREAD_S * self._jitter
        return self.current

    async def other_than(self, known: Identity | None) -> Identity | None:
        """Wait until the identity in force is another one."""
        while self.current is known:
            self._changed.clear()
            await self._changed.wait()
        return self.current

    async def run(self) -> NoReturn:
        """Look after the identity until cancelled."""
        while True:
            self.look()
            if self.current is not None and self._may_try and self._doubt:
                await self._look_for_keys(self.current)
            if self.current is not None and self._may_try and self._is_due(self.current):
                await self._renew(self.current)
            await self._world.clock.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Read the identity if its file has changed."""
        stamp = self._read_stamp()
        if stamp == self._stamp and not (stamp is None and self.problem is None):
            return
        self._stamp = stamp
        try:
            found: Identity | None = Identity.load(self._folder)
            self.problem = None
        except AgentError as error:
            found, self.problem = None, error
            if not isinstance(error, NotEnrolled):
                _LOG.error("%s", error)
        if found != self.current:
            self.current, self._asked = found, ""
            self._changed.set()

    def _read_stamp(self) -> tuple[int, int] | None:
        try:
            found = (self._folder / FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    @property
    def _may_try(self) -> bool:
        return self._world.clock.monotonic_s() >= self._not_before_s

    def _is_due(self, identity: Identity) -> bool:
        if identity.outdated and self._world.clock.monotonic_s() >= self._spread_s:
            return True
        now_us = self._hub_now_us()
        return bool(self._asked) or (now_us is not None and now_us >= due_us(identity, self._jitter))

    async def _look_for_keys(self, identity: Identity) -> None:
        """Ask for the keyrings that the site missed."""
        why, self._doubt = self._doubt, ""
        _LOG.info("asking for the hub's newest keys: %s", why)
        try:
            self.follow(await ask_keyrings(identity, self.addresses(identity), self._road))
        except AgentError as error:
            self._put_off("the hub's newest keys could not be asked for", error)
        else:
            self._spread_s = 0.0

    async def _renew(self, identity: Identity) -> None:
        outdated = "the hub has another authority" if identity.outdated else ""
        why = self._asked or outdated or "two thirds of its life are over"
        _LOG.info("renewing the certificate: %s", why)
        try:
            fresh = await renew(identity, self._folder, self.addresses(identity), self._road)
            fresh.save(self._folder)
        except (AgentError, OSError) as error:
            self._put_off("the certificate could not be renewed", error)
        else:
            self._pause_s, self._not_before_s = _RETRY_MIN_S, 0.0
            self.look()
            _LOG.info("the certificate was renewed")

    def _put_off(self, what: str, error: Exception) -> None:
        _LOG.warning("%s: %s", what, error)
        self.problem = error if isinstance(error, AgentError) else None
        self._not_before_s = self._world.clock.monotonic_s() + self._pause_s
        self._pause_s = min(_RETRY_MAX_S, 2 * self._pause_s)
