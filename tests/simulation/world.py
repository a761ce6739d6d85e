"""One seed: a hub and a few sites on virtual time, things that go wrong, then peace, and the question what is left."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.simulation import obedience, oracle, snapshot
from tests.simulation.disk import DISKS, Disk, Image, scratch, traced
from tests.simulation.faults import FAULTS
from tests.simulation.hub import SimHub
from tests.simulation.loop import Context, Process, SimLoop
from tests.simulation.network import Network, Weather
from tests.simulation.orders import Operator, steer
from tests.simulation.plan import Plan, plan_for
from tests.simulation.site import SimSite
from tests.simulation.truth import Truth

_CALM_NAP_S: Final = 100.0
_DRAIN_LOOK_S: Final = 200.0
_DRAIN_LOOKS: Final = 60
_LAST_WORD_S: Final = 900.0
"""Longer than the time after which a statement names everything, although nothing asks for it."""

_NAPS_A_LONG_TIME: Final = 12


@dataclass
class Verdict:
    """What became of one seed.

    Attributes:
        wrong: what the oracle found; empty when all is well.
        fingerprint: of everything that happened; equal for equal seeds.
    """

    seed: int
    kinds: tuple[str, ...]
    wrong: list[str]
    fingerprint: str
    trace: list[str] = field(repr=False)
    counts: Counter[str]
    hours: float
    steps: int


class World:
    """Everything that a seed consists of."""

    def __init__(self, seed: int, plan: Plan, folder: Path) -> None:
        self.seed = seed
        self.plan = plan
        self.folder = folder
        self.rng = random.Random(f"world {seed}")
        self.loop = SimLoop(random.Random(f"order {seed}"))
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.truth = Truth()
        self.network = Network(self.loop, random.Random(f"network {seed}"))
        self.hub = SimHub(self, plan.archive)
        self.network.hub = self.hub
        self.sites: dict[str, SimSite] = {}
        self.operator = Operator(self)
        self.quiet_s = 0.0
        self.ledger: oracle.Ledger | None = None
        self.blob_bytes = plan.blob_bytes
        self.garbage = plan.garbage
        self._tasks: list[asyncio.Task[Any]] = []

    # ------------------------------------------------------------- for all

    def say(self, what: str) -> None:
        """A line of the trace."""
        # Where the world's files are is the one thing that differs between two runs of a seed.
        self.trace.append(f"{self.loop.time():>14.3f}  {what.replace(str(self.folder), '…')}")

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] += by

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        """Do something in the world's own name."""
        self.loop.call_later(delay_s, what, context=Context())

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task; the loop itself does not."""
        self._tasks.append(task)

    def add_machine(self, name: str, site: str, image: Image | None = None) -> SimSite:
        while name in self.sites:
            name += "'"
        machine = SimSite(self, name, site, self.plan.settings, image)
        machine.clock.nap_s = self.plan.nap_s
        machine.pace_s = self.plan.pace_s
        self.sites[name] = machine
        return machine

    def pass_time(self, length_s: float) -> None:
        """A long time passes, in which little happens: all machines look seldom."""
        for site in self.sites.values():
            site.clock.nap_s, site.pace_s = length_s / _NAPS_A_LONG_TIME, length_s / 5
            self.later(length_s, lambda site=site: self._hurry(site))  # type: ignore[misc]

    def _hurry(self, site: SimSite) -> None:
        site.clock.nap_s, site.pace_s = self.plan.nap_s, self.plan.pace_s

    # ----------------------------------------------------------- the story

    async def story(self) -> None:
        """Begin, suffer, recover."""
        self.say(f"seed {self.seed}: {', '.join(self.plan.kinds)}; {self.plan}")
        self.hub.boot()
        for name in ("north", "south")[: self.plan.sites]:
            machine = self.add_machine(name, name)
            await machine.join(self.hub.add_site(name))
            machine.boot()
        self.operator.begin()
        for _ in range(self.plan.events):
            await asyncio.sleep(self.rng.expovariate(1 / self.plan.gap_s))
            kind = self.rng.choice(self.plan.kinds)
            self.count(f"event: {kind}")
            FAULTS[kind](self)
            await asyncio.sleep(self.quiet_s)
            self.quiet_s = 0.0
            self._audit()
            if self.wrong:
                return
        await self._drain()

    async def _drain(self) -> None:
        self.say("peace")
        self._pacify()
        await self._until_idle()
        if self.truth.asides_lost and not self.wrong:
            await self._send_again()
        await asyncio.sleep(_LAST_WORD_S)
        self.count("messages carried", self.network.carried)
        self.count("statements failed", sum(disk.hits for disk, _ in self._machines()))
        self._audit()
        self.ledger = oracle.read_ledger(self)
        self.wrong += oracle.judge(self, self.ledger)
        if self.plan.orders:
            self.wrong += obedience.judge(self)

    async def _until_idle(self) -> None:
        for _ in range(_DRAIN_LOOKS):
            await asyncio.sleep(_DRAIN_LOOK_S)
            self._pacify()
            self._audit()
            is_idle = all(oracle.is_idle(site) for site in self.sites.values())
            if self.wrong or (is_idle and obedience.is_settled(self)):
                return
        late = [site for site in self.sites.values() if not oracle.is_idle(site)]
        self.wrong += [f"{site.name} is not drained: {oracle.standing(site)}" for site in late]

    async def _send_again(self) -> None:
        """What people do on both machines that went on from one snapshot, when the hub was restored after that."""
        self.count("sent again")
        for site in self.sites.values():
            if site.agent is not None:
                self.say(f"{site.name}: farshore-agent resend")
                context = site.process.context()
                self.keep(self.loop.create_task(site.agent.resend(None), context=context))
        await self._until_idle()

    def _pacify(self) -> None:
        self.network.weather = Weather()
        self.network.cut.clear()
        for disk, process in self._machines():
            disk.fault, process.fuse = None, None
        self.hub.boot()
        self.operator.left = 0
        if self.plan.orders:
            self.hub.govern(steer)
        for site in self.sites.values():
            site.is_calm, site.clock.nap_s = True, _CALM_NAP_S
            site.clock.run_at(1.0)
            site.boot()

    def _machines(self) -> list[tuple[Disk, Process]]:
        of_sites = [(site.disk, site.process) for site in self.sites.values()]
        return [(self.hub.disk, self.hub.process), *of_sites]

    def stop(self) -> None:
        """Let nothing of it do anything any more."""
        for _, process in self._machines():
            process.alive = False
        self.hub.close_eye()
        self.loop.end()

    def _audit(self) -> None:
        """What has to hold at every moment."""
        self.count("audits")
        self.wrong += [f"at {self.loop.time():.0f} s: {found}" for found in oracle.audit(self)]

    def fingerprint(self) -> str:
        """Of the trace, the counts, and what the hub has."""
        ledger = self.ledger or oracle.read_ledger(self)
        summary = "\n".join(
            [*self.trace, repr(sorted(self.counts.items())), str(self.loop.steps), *oracle.digest(ledger)]
        )
        return hashlib.sha256(summary.encode()).hexdigest()[:16]


@contextmanager
def world_of(seed: int, always: Sequence[str] = ()) -> Iterator[World]:
    """A world, torn down afterwards; the kinds `always` are part of its plan."""
    with scratch() as folder, traced(), snapshot.resumable(), _silence():
        world = World(seed, plan_for(seed, folder, always), folder)
        asyncio.set_event_loop(world.loop)
        try:
            yield world
        finally:
            world.stop()
            asyncio.set_event_loop(None)
            DISKS.clear()


@contextmanager
def _silence() -> Iterator[None]:
    """The product logs every trouble that it meets, and here it meets nothing else."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run(seed: int, always: Sequence[str] = ()) -> Verdict:
    """Run one seed; the kinds `always` are part of its plan."""
    with world_of(seed, always) as world:
        try:
            world.loop.run_until_complete(world.story())
            fingerprint = world.fingerprint()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a world that breaks is a finding, and its trace is wanted
            world.wrong.append(f"the world broke: {type(error).__name__}: {error}")
            fingerprint = ""
        world.wrong += world.loop.unexpected
        hours, steps = world.loop.time() / 3600, world.loop.steps
        return Verdict(seed, world.plan.kinds, world.wrong, fingerprint, world.trace, world.counts, hours, steps)
