"""A life of a hub's store: parcels of some sites at once, again, overlapping, forked, with receipts; restarts, kills.

The shipped receiver on a database whose disk is watched; what it has answered is written down as it answers it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.exc import OperationalError

from farshore_protocol.messages import Answer
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import FakeSite, HubWorld
from tests.disk.hub_disk import HubDisk

SITES: Final = ("ship-1", "ship-2", "ship-3")
DATABASE: Final = "hub.db"
KEPT_PARCELS: Final = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """What one answer has said, and after which operation of the disk it was given."""

    after: int
    site: str
    answer: Answer


@dataclass(slots=True)
class Sent:
    """What one site has sent."""

    site: FakeSite
    head: int = 0
    parcels: list[bytes] = field(default_factory=list)


class HubLife:
    """One life, step by step; a step may end in what the driver says of a disk that fails, and in nothing else."""

    def __init__(self, disk: HubDisk, seed: int) -> None:
        self.disk = disk
        self.chance = random.Random(seed)
        self.database = disk.folder / DATABASE
        self.answered: list[Answered] = []
        self.added: list[tuple[int, str]] = []
        self.sent: dict[str, Sent] = {}
        self.world: HubWorld | None = None

    async def live(self, steps: int) -> None:
        """Begin, add the sites, and do so many things."""
        await self.step(self.add_sites)
        for _ in range(steps):
            weights = {self.deliver: 8, self.deliver_again: 2, self.restart: 1, self.be_killed: 1}
            await self.step(self.chance.choices(list(weights), list(weights.values()))[0])
        await self.step(self.restart)

    async def step(self, what: Callable[[], Awaitable[None]]) -> OperationalError | None:
        """Do one thing with an opened database; the error that it ended with."""
        try:
            if self.world is None:
                self.world = HubWorld(f"sqlite:///{self.database}")
            await what()
        except OperationalError as error:
            return error
        return None

    @property
    def _open(self) -> HubWorld:
        assert self.world
        return self.world

    async def add_sites(self) -> None:
        """One after the other, each in a transaction of its own."""
        for name in SITES:
            self.sent[name] = Sent(self._open.add_site(name))
            self.added.append((len(self.disk.tape), name))

    async def deliver(self) -> None:
        """Some sites at once, so that they share a commit."""
        chosen = self.chance.sample(sorted(self.sent), self.chance.randint(1, len(self.sent)))
        await self._gather(*(self._deliver(self.sent[name], self._parcel(self.sent[name])) for name in chosen))

    async def deliver_again(self) -> None:
        """As a site does whose answer was lost."""
        sent = self.sent[self.chance.choice(sorted(self.sent))]
        if sent.parcels:
            await self._gather(self._deliver(sent, self.chance.choice(sent.parcels)))

    async def deliver_last_again(self) -> None:
        """As all sites do that got no answer before the hub went away."""
        await self._gather(*(self._deliver(sent, sent.parcels[-1]) for sent in self.sent.values() if sent.parcels))

    async def _gather(self, *calls: Awaitable[None]) -> None:
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _deliver(self, sent: Sent, parcel: bytes) -> None:
        answer = await self._open.deliver(parcel, sent.site.name)
        self.answered.append(Answered(len(self.disk.tape), sent.site.name, answer))

    def _parcel(self, sent: Sent) -> bytes:
        site, first = sent.site, sent.head + 1
        count = self.chance.choice([1, 20, 300])
        sent.head += count
        batches, receipts = [], []
        if self.chance.random() < 0.2:
            receipts.append(site.receipt(first, sent.head))
        else:
            batches.append(site.batch(first, count))
        if self.chance.random() < 0.2:
            batches.append(site.batch(max(1, first - 10), 10 + count))
        if self.chance.random() < 0.1:
            batches.append(site.batch(1, 1, says="something else"))
        held = RangeSet.of((1, sent.head))
        parcel = site.parcel(*batches, head=sent.head, held=held, receipts=receipts)
        sent.parcels = [*sent.parcels, parcel][-KEPT_PARCELS:]
        return parcel

    async def restart(self) -> None:
        """Close the database; the next step opens it."""
        world, self.world = self._open, None
        world.engine.dispose()

    async def be_killed(self) -> None:
        """SIGKILL: what the process had handed to the system is there, and nothing is closed."""
        world, self.world = self._open, None
        self.database = self.disk.kill(self.database)
        world.engine.dispose()
