"""The tables of the site's applications: opened with the settings, and opened anew when these change.

They are one room that works together, so that a change of one costs the others a pause of a moment; the applications
notice nothing. An agent that has none does without the room, and without its thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any

from farshore_agent.collect.input import InputContext
from farshore_agent.loops import keep_going
from farshore_agent.settings.tables import TableSettings
from farshore_protocol.ports import Runner

if TYPE_CHECKING:
    from farshore_agent.tables.room import Outside
    from farshore_agent.tables.room import Tables as Room


class Tables:
    """The room, while there are tables."""

    def __init__(
        self,
        worker: Callable[[str], AbstractContextManager[Runner]],
        context: Callable[[], InputContext],
        outside: Callable[[], Outside],
        caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._worker = worker
        self._context = context
        self._outside = outside
        self._caught_up = caught_up
        self._stack = AsyncExitStack()
        self._settings: dict[str, TableSettings] = {}
        self._room: Room | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def reports(self) -> list[dict[str, Any]]:
        """For the status document."""
        return self._room.report() if self._room else []

    def troubles(self) -> list[str]:
        """A line for each that cannot be looked at now."""
        return [f"tables.{each['table']}: {each['complaint']}" for each in self.reports() if each["complaint"]]

    async def use(self, wanted: Mapping[str, TableSettings]) -> None:
        """Capture and follow these, and no others. What is in the database of one that is gone stays there."""
        if wanted == self._settings:
            return
        await self.stop()
        self._settings = dict(wanted)
        if wanted:
            await self._open()

    async def stop(self) -> None:
        """Let go of all databases. What was appended is on disk before anything is opened again."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await self._caught_up()
        self._tasks, self._room, self._settings = [], None, {}
        await self._stack.aclose()

    async def _open(self) -> None:
        from farshore_agent.tables.room import opened_tables  # noqa: PLC0415 - the header says why

        context = self._context()
        runner = self._stack.enter_context(self._worker("tables"))
        opening = opened_tables(self._settings, context, runner, self._outside())
        self._room = room = await self._stack.enter_async_context(opening)
        self._tasks = [
            asyncio.create_task(keep_going(name, run, context.clock), name=name) for name, run in room.loops().items()
        ]
