"""The inputs that run: started, stopped and restarted one by one as the settings say.

A bug in an input costs it a pause and a new start; the others do not notice. What only the operator can put right, such
as an address that is taken, ends the agent, as a service manager expects it; but not where the hub has a hand in it: an
agent that ends could not be sent anything better.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

from farshore_agent.collect.input import Input, InputContext
from farshore_agent.errors import AgentError
from farshore_agent.loops import RETRY_S
from farshore_agent.settings.inputs import InputSettings, installed
from farshore_protocol.ports import Clock

_LOG: Final = logging.getLogger(__name__)

Context = Callable[[Callable[[str], None]], InputContext]


class Inputs:
    """The inputs by name.

    Attributes:
        tell: gets a line for each door that opens.
        own: the inputs as the site's own file has them, if the agent is to end where one of these cannot be opened.
    """

    def __init__(self, context: Context, clock: Clock, caught_up: Callable[[], Awaitable[None]]) -> None:
        self._context = context
        self._clock = clock
        self._caught_up = caught_up
        self._settings: dict[str, InputSettings] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._doors: dict[str, list[str]] = {}
        self._broken: dict[str, str] = {}
        self._ended: asyncio.Future[AgentError] | None = None
        self.own: Mapping[str, InputSettings] = {}
        self.tell: Callable[[str], None] = lambda _line: None

    @property
    def doors(self) -> list[str]:
        """A line for each that is open."""
        return [door for doors in self._doors.values() for door in doors]

    def troubles(self) -> list[str]:
        """A line for each that does not run as it should."""
        return [f"inputs.{name}: {why}" for name, why in sorted(self._broken.items())]

    async def use(self, wanted: Mapping[str, InputSettings]) -> None:
        """Run these, and no others. What an input has handed over is on disk before it is started again."""
        gone = [name for name, settings in self._settings.items() if wanted.get(name) != settings]
        await self._stop(gone)
        for name, settings in wanted.items():
            if name not in self._settings:
                self._settings[name] = settings
                self._tasks[name] = asyncio.create_task(self._keep_running(name, settings), name=f"input {name}")

    async def stop(self) -> None:
        """Close all doors; each finishes what it has begun."""
        await self._stop(list(self._settings))

    async def failed(self) -> NoReturn:
        """Wait until one of `own` cannot run.

        Raises:
            AgentError: why.
        """
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        raise await self._ended

    async def _stop(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            # The input is gone, its last append is not: it must not be read again from before it.
            await self._caught_up()
        for name in names:
            del self._settings[name]
            self._doors.pop(name, None)
            self._broken.pop(name, None)

    async def _keep_running(self, name: str, settings: InputSettings) -> None:
        def opened(where: str) -> None:
            door = f"{name}: {settings.type}, {where}"
            # An input that has failed and is started again opens its door again.
            if door not in self._doors.setdefault(name, []):
                self._doors[name].append(door)
                self.tell(f"door {door}")

        while True:
            self._broken.pop(name, None)
            try:
                make: Callable[..., Input] = installed()[settings.type].load()
                await make(name, settings, self._context(opened)).run()
                self._note(name, "it has ended by itself")
            except AgentError as error:
                self._note(name, str(error))
                if self.own.get(name) == settings:
                    self._end(error)
                    return
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the log has it
                self._broken[name] = f"{type(error).__name__}: {error}"
                _LOG.exception("the input %s failed; starting it again", name)
            await self._clock.sleep(RETRY_S)

    def _note(self, name: str, why: str) -> None:
        self._broken[name] = why
        _LOG.error("the input %s: %s; starting it again", name, why)

    def _end(self, error: AgentError) -> None:
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        if not self._ended.done():
            self._ended.set_result(error)
