"""Asks the hub for what is new in the followed tables, and has it applied.

One question is for all tables. The hub keeps it until there is something, so that a change is here about as soon as it
is merged; between two questions the agent waits `pull`. Pages are kept in the order in which tables stand in the
settings: what others refer to goes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NoReturn

import apsw

from farshore_agent.errors import AgentError, SettingsError
from farshore_agent.forward.bell import Bell
from farshore_agent.forward.hub_http import HubDoor
from farshore_agent.forward.link import LinkBusy
from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.follower import Follower
from farshore_agent.tables.loop import TableLoop
from farshore_protocol.errors import ProtocolError
from farshore_protocol.ports import Clock, Random, Runner
from farshore_protocol.tables import ASK_TYPE, Ask, Followed, Page, open_pages, pack_ask

_LOG: Final = logging.getLogger(__name__)

PATH: Final = "/v1/followed"
WAIT_S: Final = 25.0
"""How long the hub may keep a question; less than what lies between lets a connection rest."""

_STILL_S: Final = WAIT_S + 60.0
_PAUSE_S: Final = 0.01
"""Between two pieces: the application's turn."""

_RETRY_S: Final = 5.0
_LONGEST_RETRY_S: Final = 300.0
NOT_KEPT_S: Final = 10.0
"""A page that could not be kept, or that the hub refused, is not asked for before."""

ENOUGH_ROWS: Final = 20_000
"""With so many that are to be written, no more are asked for."""


class FollowedTable:
    """Keeps one table's pages and applies them; takes turns with the loop that captures the table, if there is one."""

    def __init__(
        self,
        name: str,
        settings: TableSettings,
        follower: Follower,
        capturing: TableLoop | None,
        runner: Runner,
        clock: Clock,
    ) -> None:
        self.name = name
        self.settings = settings
        self._follower = follower
        self._capturing = capturing
        self._turn = capturing.turn if capturing else asyncio.Lock()
        self._runner = runner
        self._clock = clock
        self._bell = Bell()
        self._complaint = ""
        self._not_before_s = 0.0

    async def run(self) -> NoReturn:
        """Apply what came, until cancelled."""
        while True:
            goes_on = await self._try(self._apply)
            if goes_on:
                await self._clock.sleep(_PAUSE_S)
            else:
                await self._bell.sleep(self._clock, self.settings.poll_s)

    async def close(self) -> None:
        """Let go of the application's database."""
        await self._runner(self._follower.close)

    async def asked(self) -> Followed | None:
        """Where the table has come to; None while it has enough to do, or cannot be followed."""
        if self._clock.monotonic_s() < self._not_before_s:
            return None
        is_ready = await self._try(self._attend)
        return self._follower.asked() if is_ready and self._follower.waiting < ENOUGH_ROWS else None

    async def take(self, page: Page) -> bool:
        """Keep a page; whether that went well. First the site's own changes are looked at that were made before it."""
        is_kept = await self._try(partial(self._keep, page))
        if not is_kept:
            self._not_before_s = self._clock.monotonic_s() + NOT_KEPT_S
        return is_kept

    def report(self) -> dict[str, Any]:
        """For the status document."""
        told = self._capturing.report() if self._capturing else {"changes": 0, "walking": False, "complaint": ""}
        complaint = self._complaint or (self._follower.refused and f"the hub: {self._follower.refused}")
        return {
            "table": self.name,
            "database": str(self.settings.database),
            **told,
            "complaint": told["complaint"] or complaint,
            "direction": self.settings.direction.value,
            "followed": self._follower.shown,
        }

    async def _apply(self) -> bool:
        async with self._turn:
            return await self._runner(self._applied)

    def _applied(self) -> bool:
        goes_on = self._follower.apply()
        if not goes_on:
            self._follower.look()
        return goes_on

    async def _attend(self) -> bool:
        async with self._turn:
            await self._runner(self._follower.attend)
            return not self._follower.is_restoring

    async def _keep(self, page: Page) -> bool:
        async with self._turn:
            if self._capturing:
                await self._capturing.look_and_hear(page.hlc)
            await self._runner(partial(self._follower.receive, page))
            await self._runner(self._follower.look)
        self._bell.ring()
        return not self._follower.refused

    async def _try(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Do something that the application's database may not allow just now."""
        try:
            done = await work()
            self._complaint = ""
        except apsw.BusyError:
            return False  # the application writes; the next time it may not
        except (apsw.Error, SettingsError, OSError) as error:
            if str(error) != self._complaint:
                _LOG.warning("tables.%s: %s", self.name, error)
            self._complaint = str(error)
            await self._runner(self._follower.close)
            return False
        return done


class Following:
    """Asks for all followed tables.

    Args:
        open_hub: makes a door of the hub's for the identity in force.
    """

    def __init__(
        self,
        tables: Sequence[FollowedTable],
        open_hub: Callable[[], HubDoor],
        clock: Clock,
        random: Random,
    ) -> None:
        self._tables = tables
        self._open_hub = open_hub
        self._clock = clock
        self._random = random
        self._pull_s = min(each.settings.pull_s for each in tables)
        self._failures = 0

    async def run(self) -> NoReturn:
        """Ask until cancelled; what goes wrong is tried again, later and later."""
        while True:
            hub: HubDoor | None = None
            try:
                hub = self._open_hub()
                await self._ask_on(hub)
            except (AgentError, ProtocolError) as error:
                _LOG.log(logging.INFO if self._failures else logging.WARNING, "no rows come from the hub: %s", error)
                await self._clock.sleep(self._pause_s(error))
            finally:
                if hub is not None:
                    await hub.close()

    async def _ask_on(self, hub: HubDoor) -> NoReturn:
        while True:
            has_more = await self.ask(hub)
            self._failures = 0
            await self._clock.sleep(_PAUSE_S if has_more else self._pull_s)

    async def ask(self, hub: HubDoor) -> bool:
        """Ask once; whether there is more at once.

        Raises:
            LinkError: no answer, or none that helps.
            ProtocolError: the answer cannot be read.
        """
        asked = [(each, followed) for each in self._tables if (followed := await each.asked())]
        if not asked:
            return False
        wait_ms = round(WAIT_S * 1_000) if self._pull_s <= WAIT_S else 0
        question = pack_ask(Ask([followed for _, followed in asked], wait_ms))
        raw = await hub.ask("POST", PATH, question, content_type=ASK_TYPE, timeout_s=_STILL_S)
        pages = {page.name: page for page in open_pages(raw).pages}
        taken = [await each.take(pages[each.name]) for each, _ in asked if each.name in pages]
        return all(taken) and (len(pages) < len(asked) or any(page.more for page in pages.values()))

    def _pause_s(self, error: Exception) -> float:
        self._failures += 1
        longest_s: float = min(_LONGEST_RETRY_S, _RETRY_S * 2 ** min(self._failures, 10))
        asked_s = (error.retry_after_s if isinstance(error, LinkBusy) else None) or 0.0
        return asked_s + self._random.uniform(0.25, 0.5) * longest_s
