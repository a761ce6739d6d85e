"""A buffer in memory: transactional, keeps what was committed, and fails where it is told to."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from farshore_agent.buffer.model import Admitted, Appended, Checkpoint, Refused
from farshore_agent.buffer.shaped import mappings
from farshore_agent.errors import BufferFull


class Crash(BaseException):
    """The process dies here: nothing that comes after takes place."""


@dataclass
class FakeBuffer:
    """What a site's disk holds; it outlives the inputs that are made with it.

    Attributes:
        chaos: draws failures; None for none.
        full_for: so many appends find no room.
    """

    chaos: random.Random | None = None
    full_for: int = 0
    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, list[Refused]] = field(default_factory=lambda: defaultdict(list))
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    appends: int = 0

    async def append(self, stream: str, admitted: Admitted, checkpoint: Checkpoint | None = None) -> Appended:
        self.appends += 1
        await asyncio.sleep(0)
        if self.full_for:
            self.full_for -= 1
            raise BufferFull("no room", remedy="wait")
        self._maybe_crash()
        self.records[stream] += mappings(admitted.records)
        self.refused[stream] += admitted.refused
        if checkpoint is not None:
            self.checkpoints[checkpoint.key] = checkpoint.value
        self._maybe_crash()
        last = len(self.records[stream])
        return Appended(b"12345678", last - len(admitted.records) + 1, last, len(admitted.refused))

    async def load_checkpoint(self, key: str) -> bytes | None:
        return self.checkpoints.get(key)

    def _maybe_crash(self) -> None:
        if self.chaos is None:
            return
        luck = self.chaos.random()
        if luck < 0.15:
            raise Crash
        if luck < 0.25:
            self.full_for = 1
