"""Looks at the captured tables again and again, and appends what was found to the buffer."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final, NoReturn

import apsw
import msgspec

from farshore_agent.buffer.model import Admitted, Checkpoint, Refused
from farshore_agent.collect.input import InputContext, append_patiently
from farshore_agent.errors import SettingsError
from farshore_agent.settings.tables import TableSettings
from farshore_agent.tables.capture import Capture
from farshore_agent.tables.follower import Follower
from farshore_agent.tables.shadow import Intent
from farshore_protocol.names import CHANGES, companion_of
from farshore_protocol.ports import Runner

_LOG: Final = logging.getLogger(__name__)
_BEHIND_PAUSE_S: Final = 0.02
"""Between two looks while there is more to see: the application's turn."""


class TableLoop:
    """Captures one table for as long as the agent runs.

    Attributes:
        turn: held while it looks, by whoever writes what came from the hub too.
    """

    def __init__(
        self,
        name: str,
        settings: TableSettings,
        context: InputContext,
        runner: Runner,
        capture: Capture,
        follower: Follower | None = None,
    ) -> None:
        self.name = name
        self.turn = asyncio.Lock()
        self._settings = settings
        self._stream = companion_of(name, CHANGES)
        self._capture = capture
        self._context = context
        self._runner = runner
        self._follower = follower
        self._complaint = ""

    async def run(self) -> NoReturn:
        """Look until cancelled. What the application's database does not allow just now is tried again."""
        await self._finish()
        while True:
            async with self.turn:
                await self._look()
            is_behind = self._capture.is_behind and not self._complaint
            await self._context.clock.sleep(_BEHIND_PAUSE_S if is_behind else self._settings.poll_s)

    async def look_and_hear(self, hlc: int) -> None:
        """Tell what was changed until now; whatever is told later is later than `hlc`. Whoever calls holds `turn`."""
        await self._look()
        await self._runner(partial(self._capture.heard, hlc))

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
        await self._runner(partial(self._settle, intent))

    async def _look(self) -> None:
        try:
            intent = await self._runner(self._seen)
            if intent is not None:
                await self._append(intent)
                await self._runner(partial(self._settle, intent))
            self._complain("")
        except (apsw.Error, SettingsError, OSError) as error:
            self._complain(str(error))
            await self._runner(self._capture.close)

    def _seen(self) -> Intent | None:
        """What a look has found; nothing while the database gets back what it had."""
        if self._follower:
            self._follower.attend()
            if self._follower.is_restoring:
                return None
        return self._capture.look()

    def _settle(self, intent: Intent) -> None:
        if self._follower:
            self._follower.note_under_way(intent)
        self._capture.settle(intent)

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
