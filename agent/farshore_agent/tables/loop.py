"""Looks at the captured tables again and again, and appends what was found to the buffer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import apsw
import msgspec

from farshore_agent.buffer.model import Admitted, Checkpoint, Refused
from farshore_agent.collect.input import InputContext, append_patiently
from farshore_agent.errors import SettingsError
from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.capture import Capture
from farshore_agent.tables.shadow import FILE, Intent, Shadow
from farshore_protocol.names import CHANGES, companion_of
from farshore_protocol.ports import Random, Runner

_LOG: Final = logging.getLogger(__name__)
_BEHIND_PAUSE_S: Final = 0.02
"""Between two looks while there is more to see: the application's turn."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a capture needs beside the buffer.

    Attributes:
        offset_us: tells what has to be added to this clock to get the hub's, as far as that is known.
    """

    random: Random
    offset_us: Callable[[], int]


class TableLoop:
    """Captures one table for as long as the agent runs."""

    def __init__(
        self,
        name: str,
        settings: TableSettings,
        shadow: Shadow,
        context: InputContext,
        runner: Runner,
        machine: Outside,
    ) -> None:
        self.name = name
        self._settings = settings
        self._stream = companion_of(name, CHANGES)
        self._capture = Capture(name, settings, shadow, context.clock, machine.random, machine.offset_us)
        self._context = context
        self._runner = runner
        self._complaint = ""

    async def run(self) -> NoReturn:
        """Look until cancelled. What the application's database does not allow just now is tried again."""
        await self._finish()
        while True:
            await self._look()
            is_behind = self._capture.is_behind and not self._complaint
            await self._context.clock.sleep(_BEHIND_PAUSE_S if is_behind else self._settings.poll_s)

    async def close(self) -> None:
        """Let go of the application's database."""
        await self._runner(self._capture.close)

    def report(self) -> dict[str, Any]:
        """For the status document."""
        progress = self._capture.progress
        return {
            "table": self.name,
            "stream": self._stream,
            "database": str(self._settings.database),
            "changes": progress.number,
            "walking": bool(progress.walk),
            "complaint": self._complaint,
        }

    async def _finish(self) -> None:
        """Bring the look that was under way to its end; its records may be in the buffer or not."""
        intent = await self._runner(self._capture.unfinished)
        if intent is None:
            return
        stored = await self._context.load_checkpoint(self._key)
        if stored is None or int.from_bytes(stored, "big") < intent.progress.look:
            await self._append(intent)
        await self._runner(partial(self._capture.settle, intent))

    async def _look(self) -> None:
        try:
            intent = await self._runner(self._capture.look)
            if intent is not None:
                await self._append(intent)
                await self._runner(partial(self._capture.settle, intent))
            self._complain("")
        except (apsw.Error, SettingsError, OSError) as error:
            self._complain(str(error))
            await self._runner(self._capture.close)

    async def _append(self, intent: Intent) -> None:
        refused = [Refused(number, None, why, raw) for number, (why, raw) in enumerate(intent.refused, 1)]
        size = len(msgspec.msgpack.encode(intent.records))
        times = (intent.oldest_us, intent.newest_us) if intent.records else (0, 0)
        admitted = Admitted(intent.records, *times, size, refused)
        checkpoint = Checkpoint(self._key, intent.progress.look.to_bytes(8, "big"))
        await append_patiently(self._context, self._stream, admitted, checkpoint)

    @property
    def _key(self) -> str:
        return f"{self.name}/table"

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            _LOG.warning("tables.%s: %s", self.name, complaint)
        self._complaint = complaint


def open_shadow(state_dir: Path) -> Shadow:
    """The shadow of all tables of an agent."""
    return Shadow(state_dir / FILE)
