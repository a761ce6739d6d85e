"""The audit of the running hub: a round now and then, slowly, healing what it finds.

Only the process that writes the lake audits, so it is one at a time, however many serve the hub. How far it is stands
in the database after every few seconds' work; a hub that is started again goes on there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Engine

from farshore_hub.audit import progress
from farshore_hub.audit.differences import AuditReport
from farshore_hub.audit.lake import LakeCare
from farshore_hub.audit.progress import AuditState, Kept
from farshore_hub.audit.round import Round
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.store.engine import reading, writing
from farshore_protocol.ports import Clock, Runner

LOOK_EVERY_S: Final = 5.0
"""How soon an audit begins that was asked for."""

FIRST_AFTER_US: Final = 86_400_000_000
"""A new hub has nothing to read, and one that was upgraded other things to do."""

KEEP_EVERY_S: Final = 5.0
_US_PER_S: Final = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditPace:
    """How often, and how quickly."""

    every_us: int
    bytes_per_s: int


class Auditor:
    """Audits, until cancelled. Reading is done on `runner`, repairs of the lake by the lake's writer."""

    def __init__(
        self, engine: Engine, care: LakeCare, writer: LakeWriter, clock: Clock, runner: Runner, pace: AuditPace
    ) -> None:
        self._engine = engine
        self._care = care
        self._writer = writer
        self._clock = clock
        self._runner = runner
        self._pace = pace

    async def run(self) -> None:
        """Make a round whenever one is due."""
        while True:
            if self._writer.is_ours and await self._runner(self._is_due):
                await self._round()
            await self._clock.sleep(LOOK_EVERY_S)

    def _is_due(self) -> bool:
        state, now_us = self._load(), self._clock.now_us()
        if state.next_us is None:
            self._save(replace(state, next_us=now_us + min(self._pace.every_us, FIRST_AFTER_US)))
            return False
        # A date further away than ever set: the clock was set back since.
        return state.present is not None or not now_us < state.next_us <= now_us + self._pace.every_us + FIRST_AFTER_US

    async def _round(self) -> None:
        kept = await self._runner(self._begin)
        steps = Round(self._engine, self._care, self._clock, kept.report, repairs=True).steps(kept.position)
        began_s, read_bytes, kept_s = self._clock.monotonic_s(), 0, self._clock.monotonic_s()
        while (step := await self._runner(lambda: next(steps, None))) is not None:
            if step.lake_work is not None:
                await self._writer.meanwhile(step.lake_work)
            read_bytes += step.read_bytes
            kept = replace(kept, read_bytes=kept.read_bytes + step.read_bytes, position=step.position or kept.position)
            now_s = self._clock.monotonic_s()
            if step.position is not None and now_s - kept_s >= KEEP_EVERY_S:
                await self._runner(partial(self._keep, kept))
                kept_s = now_s
            await self._clock.sleep(max(0.0, began_s + read_bytes / self._pace.bytes_per_s - now_s))
        await self._runner(lambda: self._end(kept))

    def _begin(self) -> Kept:
        state = self._load()
        if state.present is not None:
            _log.info("the audit goes on after %d bytes", state.present.read_bytes)
            return state.present
        kept = Kept(self._clock.now_us(), AuditReport())
        self._save(replace(state, present=kept))
        return kept

    def _keep(self, kept: Kept) -> None:
        self._save(replace(self._load(), present=kept))

    def _end(self, kept: Kept) -> None:
        done = replace(kept, ended_us=self._clock.now_us())
        self._save(AuditState(next_us=kept.started_us + self._pace.every_us, last=done))
        for difference in kept.report.differences:
            _log.error("audit: %s; %s", difference.what, difference.cure)
        _log.info("audited %d bytes: %s", kept.read_bytes, kept.report.found or "all is as the ledger says")

    def _load(self) -> AuditState:
        with reading(self._engine) as connection:
            return progress.load(connection)

    def _save(self, state: AuditState) -> None:
        with writing(self._engine) as connection:
            progress.save(connection, state)


def ask_for_audit(engine: Engine, now_us: int) -> None:
    """Let the running hub audit now."""
    with writing(engine) as connection:
        progress.save(connection, replace(progress.load(connection), next_us=now_us))
