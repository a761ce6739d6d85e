"""The shell round the orders: takes what comes, decides nothing itself, keeps the state durable, hands out reports.

Whoever brings orders calls `take`, which never waits and never raises; whoever carries reports asks `report` and hears
the bells that `listen` was given. Everything else happens in `run`, one thing after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

from farshore_agent.forward.bell import Bell
from farshore_agent.identity.identity import Identity
from farshore_agent.orders import lifecycle, reporting
from farshore_agent.orders.commands import Commands
from farshore_agent.orders.intake import Reason, Refused, examine
from farshore_agent.orders.party import Party
from farshore_agent.orders.state import Book, State
from farshore_agent.orders.steward import Steward
from farshore_agent.settings.orders import OrdersSettings
from farshore_protocol.errors import ProtocolError
from farshore_protocol.orders import SettingsReport, chain_of_order, pack_report
from farshore_protocol.ports import Clock

_LOG: Final = logging.getLogger(__name__)
MAX_INBOX: Final = 8
"""Orders that wait to be looked at. A hub has at most two for a site; what finds no place comes again."""

_LOOK_EVERY_S: Final = 2.0
_QUIET: Final = frozenset({Reason.REPEATED, Reason.CLOCK, Reason.DISABLED})
"""Reasons that are nobody's fault."""


@dataclass(frozen=True, slots=True)
class Site:
    """What orders have to know of the site.

    Attributes:
        identity: in force, if there is one.
        hub_now_us: the hub's time, as far as it is known.
        describe: makes the schema of the settings.
        follow: takes the hub's keyrings, from whomever they came; the identity may be another one then.
    """

    identity: Callable[[], Identity | None]
    hub_now_us: Callable[[], int | None]
    describe: Callable[[], Awaitable[bytes]]
    follow: Callable[[Sequence[bytes]], object]


class Orders:
    """The orders of one site.

    Attributes:
        broker: HOST:PORT of the hub's MQTT broker, as the hub said last; empty: there is none.
    """

    def __init__(
        self,
        settings: OrdersSettings,
        *,
        book: Book,
        steward: Steward | None,
        commands: Commands,
        site: Site,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._steward = steward
        self._commands = commands
        self.book = book
        self.broker = ""
        self._site = site
        self._clock = clock
        self._inbox: deque[bytes] = deque()
        self._heard: int | None = None
        self._bell = Bell()
        commands.on_change = self._bell.ring
        if steward:
            steward.on_change = self._bell.ring
        self._one_at_a_time = asyncio.Lock()
        self._bells: list[Callable[[], None]] = []
        self._serves: Identity | None = None
        self._party: Party | None = None
        self._own: reporting.About | None = None
        self._packed: tuple[int, bytes] | None = None
        self._has_news = False
        self._refused: Counter[str] = Counter()
        self._taken = 0
        self._last_refusal = ""

    # ------------------------------------------------------------ the road

    def take(self, raw: bytes) -> None:
        """Somebody says that this is an order. It is looked at soon; what is wrong with it is counted and logged."""
        if not self._settings.enabled:
            self._refuse(Refused(Reason.DISABLED, "this site's owner takes no orders"))
        elif len(self._inbox) >= MAX_INBOX:
            self._refuse(Refused(Reason.CROWDED, f"{MAX_INBOX} orders wait already"))
        else:
            self._inbox.append(raw)
            self._bell.ring()

    def heard(self, number: int | None) -> None:
        """The hub says which report it has; None when it says nothing of it."""
        if number is not None and self._settings.enabled:
            self._heard = number
            self._bell.ring()

    def tell_broker(self, place: str) -> None:
        """The hub says where its MQTT broker is; empty: there is none."""
        if place != self.broker and self._settings.enabled:
            self.broker = place
            self._ring()

    def report(self) -> bytes | None:
        """The newest report, sealed and signed; None when the hub has it, or has never asked for any."""
        if self._packed is not None:
            self._has_news = False
            return self._packed[1]
        return None

    @property
    def has_news(self) -> bool:
        """Whether there is a report that nobody has fetched yet."""
        return self._has_news

    def listen(self, ring: Callable[[], None]) -> None:
        """Have `ring` called when there is a new report, or another broker."""
        self._bells.append(ring)

    # ------------------------------------------------------------- in use

    async def run(self) -> NoReturn:
        """Look at what has come, until cancelled."""
        while True:
            await self.turn()
            await self._bell.sleep(self._clock, _LOOK_EVERY_S)

    async def turn(self) -> None:
        """Look at all that has come.

        Raises:
            OSError: the state cannot be saved; nothing of it is in force.
        """
        async with self._one_at_a_time:
            party = await self._serve()
            if party is None:
                self._inbox.clear()
                return
            await self._speak(party)
            await self._listen(party)
            while self._inbox:
                raw = self._inbox.popleft()
                party = await self._following(raw) or party
                await self._look_at(raw, party)
                await self._speak(party)

    def status(self) -> dict[str, Any]:
        """For the status document."""
        state = self.book.state
        return {
            "enabled": self._settings.enabled,
            "settings": _shown(state.settings) if state.settings else None,
            "running": state.running.number if state.running else 0,
            "revision": state.running.revision if state.running else 0,
            "probing": bool(state.trial and state.trial.entered),
            "paused": list(state.paused),
            "report": state.spoken.number,
            "heard": state.heard,
            "taken": self._taken,
            "refused": dict(self._refused),
            "last_refusal": self._last_refusal,
        }

    # ------------------------------------------------------- to whom we belong

    async def _serve(self) -> Party | None:
        """Be who the identity in force says, if there is one. Orders of another hub, or to another site, are over."""
        identity = self._site.identity()
        if identity is None:
            self._serves = self._party = self._packed = None
        elif identity is not self._serves:
            # Making the key takes a moment; the thread has it.
            self._party = party = await self.book.runner(partial(Party.of, identity))
            self._serves, self._packed = identity, None
            if (self.book.state.hub, self.book.state.site) != (party.hub, party.site):
                await self._belong_to(party)
        return self._party

    async def _following(self, raw: bytes) -> Party | None:
        """Who gives orders, once the hub's keyrings that came with this one are followed."""
        with suppress(ProtocolError):
            if chain := chain_of_order(raw):
                self._site.follow(chain)
        return await self._serve()

    async def _belong_to(self, party: Party) -> None:
        """What another hub has ordered is over, and so are its settings."""
        if self.book.state != State():
            _LOG.warning("the site belongs to another hub now: the settings of the one before are not in force")
        await self.book.change(lambda _: State(party.hub, party.site))
        if self._steward:
            self._steward.wake()
        await self._commands.forget()

    # ----------------------------------------------------------- reporting

    async def _listen(self, party: Party) -> None:
        number, self._heard = self._heard, None
        if number is not None:
            own = await self._about()
            await self.book.change(lambda state: reporting.heard(state, number, party, own))
            await self._speak(party)

    async def _speak(self, party: Party) -> None:
        """Have a report ready that says everything, unless the hub has it."""
        if self.book.state.heard is None or not self._settings.enabled:
            return
        own = await self._about()
        now_us = self._clock.now_us()
        state = await self.book.change(lambda state: reporting.spoken(state, party, own, now_us))
        if reporting.is_heard(state):
            self._packed, self._has_news = None, False
        elif self._packed is None or self._packed[0] != state.spoken.number:
            raw = pack_report(reporting.report_of(state, party, own), party.signer, party.hub_key)
            self._packed, self._has_news = (state.spoken.number, raw), True
            self._ring()

    def _ring(self) -> None:
        for ring in self._bells:
            ring()

    async def _about(self) -> reporting.About:
        """What there is to say of this agent; made when it is first needed."""
        if self._own is None:
            self._own = reporting.About(await self._site.describe(), self._accepts())
        return self._own

    def _accepts(self) -> tuple[str, ...]:
        """The tables and keys in which the hub may change something; what of them, the site itself sees to."""
        if self._steward is None:
            return ()
        return tuple(dict.fromkeys(key.partition(".")[0] for key in self._settings.accept))

    # ------------------------------------------------------------ obeying

    async def _look_at(self, raw: bytes, party: Party) -> None:
        try:
            order = await self.book.runner(partial(examine, raw, party, self.book.state, self._site.hub_now_us()))
        except Refused as refused:
            self._refuse(refused)
            return
        self._taken += 1
        if order.desired is None:
            self._commands.ask(order)
        elif self._steward is None:
            why = ["this agent is part of a program that has its settings by itself"]
            received = partial(lifecycle.received, number=order.number, desired=order.desired)
            await self.book.change(lambda state: lifecycle.refused(received(state), why))
        else:
            _LOG.info("the hub's settings %d have come", order.number)
            desired = order.desired
            await self.book.change(lambda state: lifecycle.received(state, order.number, desired))
            self._steward.wake()

    def _refuse(self, refused: Refused) -> None:
        self._refused[refused.reason.value] += 1
        if refused.reason in _QUIET:
            _LOG.debug("an order is not done: %s", refused)
            return
        self._last_refusal = f"{refused.reason.value}: {refused}"
        _LOG.warning("an order is not done: %s", refused)


def _shown(report: SettingsReport) -> dict[str, Any]:
    """For people: structs of the protocol are lists, because names cost bytes."""
    return {
        "running": report.running,
        "latest": report.latest,
        "outcome": report.outcome.value,
        "problems": report.problems,
    }
