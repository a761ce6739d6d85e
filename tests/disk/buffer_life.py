"""A life of a buffer as it is at a site: appends, sealing, exchanges, ages, restarts, in an order drawn from a seed.

The shipped `Buffer` on a small bound, so that room runs out; what it has promised is written down as it promises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from farshore_agent.buffer import Appended, Buffer, Checkpoint
from farshore_agent.errors import AgentError, BufferBroken, BufferFull
from farshore_agent.settings import EffortChoice, StreamSettings, WhenFull
from farshore_protocol.ranges import EMPTY
from tests.agent.buffer.world import START_US, FakeHub, World, admitted, exchange, policies
from tests.disk.agent_disk import AgentDisk
from tests.disk.promises import AtTheHub, Key, Promises

DAY_S: Final = 86_400
STREAMS: Final = {
    "evicting": StreamSettings(when_full=WhenFull.EVICT, effort=EffortChoice.FAST, priority=3, max_age_s=3 * DAY_S),
    "thinning": StreamSettings(when_full=WhenFull.THIN, effort=EffortChoice.FAST, priority=5),
    "refusing": StreamSettings(when_full=WhenFull.REFUSE, effort=EffortChoice.FAST, priority=7),
}
FILE: Final = "refusing"
"""The stream that an input reads from a file, with a checkpoint."""

BOUND_BYTES: Final = 256 * 1024


def world_on(disk: AgentDisk) -> World:
    """A world whose buffer lies on that disk."""
    world = World(disk.folder / "buffer.db", policies=policies(**STREAMS), vfs=disk.name)
    world.settings = replace(world.settings, max_bytes=BOUND_BYTES)
    world.seal = replace(world.seal, max_records=20)
    return world


class Life:
    """One life, step by step. A step may raise what the buffer documents, and nothing else."""

    def __init__(self, disk: AgentDisk, seed: int, *, noise: Sequence[int] = (0, 40, 2500)) -> None:
        self.disk = disk
        self._noise = noise
        self.chance = random.Random(seed)
        self.world = world_on(disk)
        self.hub = FakeHub(self.world)
        self.promises = Promises()
        self.buffer: Buffer | None = None
        self._needs_key = True
        self._serial = 0
        self._read = 0
        self._backup: Any = ({}, {})
        self._forgotten: frozenset[Key] = frozenset()

    async def live(self, steps: int) -> None:
        """Begin, and do so many things."""
        for _ in range(steps):
            await self.step(self._drawn())
        if self.buffer:
            await self.step(self.restart)

    async def step(self, what: Callable[[], Awaitable[None]]) -> AgentError | None:
        """Do one thing, in an opened buffer; the error that it ended with, if the buffer documents it."""
        error: AgentError | None = None
        try:
            if self.buffer is None:
                self.buffer = await self.world.open(sealing=False)
                self._needs_key = True
            if self._needs_key:
                await self.world.give_epoch(self.buffer)
                self._needs_key = False
            await what()
        except (BufferFull, BufferBroken) as documented:
            error = documented
        there = AtTheHub(dict(self.hub.records), dict(self.hub.receipted), self._forgotten)
        self.promises.hub.append((len(self.disk.tape), there))
        return error

    def _drawn(self) -> Callable[[], Awaitable[None]]:
        weights = {
            self.append: 10,
            self.seal: 4,
            self.send: 4,
            self.send_and_lose_the_answer: 2,
            self.grow_older: 2,
            self.renew_the_key: 1,
            self.back_the_hub_up: 1,
            self.restore_the_hub: 1,
            self.restart: 1,
            self.be_killed: 1,
        }
        return self.chance.choices(list(weights), list(weights.values()))[0]

    @property
    def _open(self) -> Buffer:
        assert self.buffer
        return self.buffer

    # ---------------------------------------------------------------- steps

    async def append(self) -> None:
        """Some producers at once, so that they share a commit."""
        calls = [self._append(self.chance.choice(list(STREAMS))) for _ in range(self.chance.randint(1, 4))]
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _append(self, stream: str) -> None:
        records = self._records()
        self._read += len(records) if stream == FILE else 0
        checkpoint = Checkpoint("file", b"%d" % self._read) if stream == FILE else None
        serials = [record["n"] for record in records]
        self.promises.tried.update(dict.fromkeys(serials, len(self.disk.tape)))
        try:
            answer = await self._open.append(stream, admitted(records, refused=len(records) % 3), checkpoint)
        except BufferFull:
            self.promises.refused.update(dict.fromkeys(serials, len(self.disk.tape)))
            raise
        except BufferBroken:
            self.promises.in_doubt.update(serials)
            raise
        self._acknowledged(stream, answer, serials)
        if checkpoint:
            self.promises.checkpoints.append((len(self.disk.tape), int(checkpoint.value)))

    def _records(self) -> list[dict[str, Any]]:
        noise = self.chance.choice(self._noise)
        records = []
        for _ in range(self.chance.randint(0, 12)):
            self._serial += 1
            records.append({"ts": START_US // 1000, "n": self._serial, "noise": self.chance.randbytes(noise)})
        return records

    def _acknowledged(self, stream: str, answer: Appended, serials: list[int]) -> None:
        assert answer.last - answer.first + 1 == len(serials)
        now = len(self.disk.tape)
        for sequence, serial in enumerate(serials, answer.first):
            self.promises.acknowledged.append((now, (answer.incarnation, stream, sequence), serial))

    async def seal(self) -> None:
        await self._open.seal_due(link_up=True, flush=self.chance.random() < 0.5)

    async def seal_all(self) -> None:
        await self._open.seal_due(link_up=True, flush=True)

    async def send(self) -> None:
        await exchange(self._open, self.hub, max_batches=self.chance.randint(1, 10))

    async def send_and_lose_the_answer(self) -> None:
        await exchange(self._open, self.hub, max_batches=5, whole=False, answered=False)

    async def grow_older(self) -> None:
        self.world.clock.advance(self.chance.choice([60, DAY_S, 4 * DAY_S]))
        await self._open.expire()

    async def expire(self) -> None:
        self.world.clock.advance(300)
        await self._open.expire()

    async def renew_the_key(self) -> None:
        await self.world.give_epoch(self._open)

    async def back_the_hub_up(self) -> None:
        """From now on, what the hub has is archived."""
        self._backup = (dict(self.hub.records), dict(self.hub.receipted))
        for key in self.hub.streams:
            there = self.hub.stored(*key) | self.hub.receipted.get(key, EMPTY)
            self.hub.archived[key] = there.watermark

    async def restore_the_hub(self) -> None:
        """The hub knows only what was archived, and says so."""
        records, receipted = self._backup
        given_up = {
            (*stream, sequence)
            for stream, ranges in self.hub.receipted.items()
            for first, last in ranges
            for sequence in range(first, last + 1)
        }
        self._forgotten |= self.hub.records.keys() | given_up
        self.hub.records, self.hub.receipted = dict(records), dict(receipted)
        self.hub.life = self.world.random.token(8)

    async def restart(self) -> None:
        """Close the buffer; the next step opens it."""
        buffer, self.buffer = self._open, None
        try:
            await buffer.close()
        except BufferBroken:
            # It did not close well, and the process ends all the same.
            self.world.path = self.disk.kill(self.world.path)
            raise

    async def be_killed(self) -> None:
        """SIGKILL: what the process had handed to the system is there, and nothing is closed."""
        buffer, self.buffer = self._open, None
        self.world.path = self.disk.kill(self.world.path)
        with contextlib.suppress(AgentError):
            await buffer.close()
