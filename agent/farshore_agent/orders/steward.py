"""Brings the hub's settings into force, watches the site under them, and takes them back: the shell of `lifecycle`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from farshore_agent.errors import AgentError, SettingsError
from farshore_agent.forward.bell import Bell
from farshore_agent.orders import lifecycle, probe
from farshore_agent.orders.force import effective, problems_of, without_the_unfit
from farshore_agent.orders.state import Book, Pushed, State, Trial
from farshore_agent.settings import AgentSettings
from farshore_agent.settings.layers import Effective, LocalFile
from farshore_protocol.ports import Clock

_LOG: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 0.5
_REST_S: Final = 60.0


class House(Protocol):
    """What the settings are of."""

    async def use(self, settings: AgentSettings) -> None:
        """Go on under these; what is the same in both is left alone."""
        ...

    def objections(self, settings: AgentSettings) -> Iterable[str]:
        """Why this machine cannot have these settings, valid as they are."""
        ...

    def troubles(self) -> list[str]:
        """What is wrong now, a line each."""
        ...

    @property
    def link_up(self) -> bool:
        """Whether the last exchange with the hub succeeded."""
        ...

    def ask_hub(self) -> None:
        """Have the hub asked for an answer soon."""
        ...

    @property
    def answers(self) -> int:
        """How many times the hub has answered."""
        ...


@dataclass(slots=True)
class _Watch:
    """Since when, and since which answer, settings are being watched."""

    number: int
    since_s: float
    answers: int


class Steward:
    """Keeps what is in force as the state wants it."""

    def __init__(self, book: Book, local: LocalFile, in_force: Effective, house: House, clock: Clock) -> None:
        self._book = book
        self._local = local
        self._house = house
        self._clock = clock
        self._bell = Bell()
        self._watch: _Watch | None = None
        self.in_force = in_force
        self._applied: AgentSettings | None = in_force.settings
        self._brought: tuple[Pushed | None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """There is something to do."""
        self._bell.ring()

    async def run(self) -> NoReturn:
        """Look after the settings until cancelled."""
        while True:
            await self.turn()
            await self._bell.sleep(self._clock, _LOOK_EVERY_S if self._book.state.trial else _REST_S)

    async def turn(self) -> None:
        """One step of a trial, if there is one and the owner takes orders."""
        if not self._local.settings.orders.enabled:
            return
        trial = self._book.state.trial
        if trial is not None and not trial.entered:
            await self._enter(trial)
        await self._reconcile()
        if (trial := self._book.state.trial) is not None and trial.entered:
            await self._probe(trial)

    async def _enter(self, trial: Trial) -> None:
        problems: list[str] = []
        try:
            wanted = effective(self._local, trial.pushed)
            problems = list(self._house.objections(wanted.settings))
        except SettingsError as error:
            problems = problems_of(error)
        if problems:
            _LOG.warning("the hub's settings %d are refused: %s", trial.pushed.number, "; ".join(problems))
            await self._change(trial, lambda state: lifecycle.refused(state, problems))
            return
        link_was_up, troubles = self._house.link_up, self._house.troubles()
        _LOG.info("the hub's settings %d are tried for %d s", trial.pushed.number, trial.probe_s)
        await self._change(trial, lambda state: lifecycle.entered(state, link_was_up=link_was_up, troubles=troubles))

    async def _reconcile(self) -> None:
        """Have in force what the state wants. Where that fails half-way, all of what was before is applied again."""
        state = self._book.state
        if self._brought == (state.running,):
            return
        try:
            wanted = effective(self._local, state.running)
            if wanted.settings != self._applied:
                self._watch = self._applied = self._brought = None
                await self._house.use(wanted.settings)
                self._applied = wanted.settings
            self.in_force, self._brought = wanted, (state.running,)
        except SettingsError as error:
            unfit, problems = state.running, problems_of(error)
            await self._book.change(lambda now: without_the_unfit(now, problems) if now.running == unfit else now)
            self.on_change()
            self._bell.ring()
        except (AgentError, OSError) as error:
            if state.trial is None or not state.trial.entered:
                raise
            await self._roll_back(state.trial, [f"they could not be applied: {error}"])
            self._bell.ring()

    async def _probe(self, trial: Trial) -> None:
        now_s, number = self._clock.monotonic_s(), trial.pushed.number
        if self._watch is None or self._watch.number != number:
            self._watch = _Watch(number, now_s, self._house.answers)
        seen = probe.Seen(
            passed_s=now_s - self._watch.since_s,
            has_answer=self._house.answers > self._watch.answers,
            troubles=self._house.troubles(),
        )
        if not seen.has_answer:
            self._house.ask_hub()
        verdict = probe.judge(trial, seen)
        if verdict.step is probe.Step.KEEP:
            _LOG.info("the hub's settings %d are kept", number)
            await self._change(trial, lifecycle.kept)
        elif verdict.step is probe.Step.ROLL_BACK:
            await self._roll_back(trial, list(verdict.reasons))
            await self._reconcile()

    async def _roll_back(self, trial: Trial, reasons: list[str]) -> None:
        _LOG.error("the hub's settings %d are rolled back: %s", trial.pushed.number, "; ".join(reasons))
        await self._change(trial, lambda state: lifecycle.rolled_back(state, reasons))

    async def _change(self, trial: Trial, step: Callable[[State], State]) -> None:
        """Take a step of this trial, unless newer settings have come meanwhile."""
        await self._book.change(
            lambda state: step(state) if state.trial and state.trial.pushed.number == trial.pushed.number else state
        )
        self.on_change()
