"""The watcher: a loop that looks, decides and writes down. Of several processes of a hub, one watches."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.alerts.decide import Circumstances, Decision, decide
from farshore_hub.store import alerts, messages
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.leases import give_lease_back, take_lease
from farshore_hub.watch.book import Book, standing_of, subject_of
from farshore_hub.watch.seeing import Eyes
from farshore_protocol.ports import Clock, Runner

DUTY: Final = "watch"
_LOOKS_PER_LEASE: Final = 4
_MAX_PAUSES: Final = 3
_MAX_JUMP_S: Final = 30
_US_PER_S: Final = 1_000_000
_DAY_S: Final = 86_400
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How often is looked, and what is kept. Seconds.

    Attributes:
        grace_s: a hub that has run for less cannot tell the silence of a site from its own.
        keep_s: for how long alerts that are over are kept.
        give_up_s: for how long a message is tried.
    """

    every_s: int = 30
    grace_s: int = 600
    keep_s: int = 400 * _DAY_S
    give_up_s: int = 3 * _DAY_S


class Watcher:
    """Watches. All its work is done on `runner`, one piece after the other.

    Attributes:
        is_ours: this process watches; the others of the hub do not.
        looked_us: when it looked last, None before it did.
        look_s: how long that took.
    """

    def __init__(
        self, engine: Engine, eyes: Eyes, book: Book, clock: Clock, runner: Runner, settings: WatchSettings
    ) -> None:
        self._engine = engine
        self._eyes = eyes
        self._book = book
        self._clock = clock
        self._runner = runner
        self._settings = settings
        self._holder = book.outbox.token(8)
        self._began_s = clock.monotonic_s()
        self._forget_at_s = 0.0
        self._looked_s: float | None = None
        self.looked_us: int | None = None
        self.look_s = 0.0
        self.is_ours = False

    def has_duty(self) -> bool:
        """Whether it is this process that watches."""
        return self.is_ours

    async def run(self) -> None:
        """Look every so often, until cancelled."""
        try:
            while True:
                await self._runner(self.look)
                await self._clock.sleep(self._settings.every_s)
        finally:
            await self._runner(self.release)

    def look(self) -> None:
        """One look, if it is this process that watches. Blocking."""
        now_us, now_s = self._clock.now_us(), self._clock.monotonic_s()
        life_us = self._settings.every_s * _LOOKS_PER_LEASE * _US_PER_S
        with writing(self._engine) as connection:
            self.is_ours = take_lease(connection, DUTY, self._holder, now_us, life_us)
        if not self.is_ours:
            self._looked_s = self.looked_us = None
            return
        seen = self._eyes.look(now_us)
        with reading(self._engine) as connection:
            rows, labels = alerts.standing(connection), self._book.labels(connection)
        stand = {subject_of(row): standing_of(row) for row in rows}
        made = decide(stand, seen, self._book.rules, self._circumstances(now_us, now_s), labels)
        untold = any(row.raised_us is not None and row.told_us is None for row in rows)
        if made or untold:
            with writing(self._engine) as connection:
                self._book.write(connection, rows, made, labels, now_us)
            _report(made)
        self._tidy(now_us, now_s)
        self._looked_s, self.looked_us = now_s, now_us
        self.look_s = self._clock.monotonic_s() - now_s

    def release(self) -> None:
        """Let another process watch. Blocking."""
        with writing(self._engine) as connection:
            give_lease_back(connection, DUTY, self._holder)
        self.is_ours = False

    def _circumstances(self, now_us: int, now_s: float) -> Circumstances:
        settled = now_s - self._began_s >= self._settings.grace_s
        if self._looked_s is None or self.looked_us is None:
            return Circumstances(now_us, unbroken=False, settled=settled)
        passed_s = now_s - self._looked_s
        jumped_s = abs((now_us - self.looked_us) / _US_PER_S - passed_s)
        unbroken = passed_s <= max(self._settings.every_s, 1) * _MAX_PAUSES + _MAX_JUMP_S and jumped_s <= _MAX_JUMP_S
        return Circumstances(now_us, unbroken=unbroken, settled=settled)

    def _tidy(self, now_us: int, now_s: float) -> None:
        if now_s < self._forget_at_s:
            return
        self._forget_at_s = now_s + _DAY_S / 24
        with writing(self._engine) as connection:
            alerts.forget_cleared(connection, now_us - self._settings.keep_s * _US_PER_S)
            messages.forget_ended(connection, now_us - self._settings.keep_s * _US_PER_S)
            given_up = messages.give_up(connection, now_us - self._settings.give_up_s * _US_PER_S, now_us)
        if given_up:
            _log.error(
                "gave up %s message(s) about alerts that no channel took; see farshore-hub alerts list", given_up
            )


def _report(made: list[Decision]) -> None:
    raised, cleared = sum(each.is_raised for each in made), sum(each.is_cleared for each in made)
    if raised or cleared:
        _log.info("alerts: %s raised, %s cleared", raised, cleared)
