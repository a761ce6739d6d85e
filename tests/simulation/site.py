"""A simulated machine at a site: the shipped agent on a disk of its own, with its producers."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from farshore_agent.app import IDENTITY, Agent
from farshore_agent.errors import AgentError, BufferFull, Stopping
from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.machine import Machine
from farshore_agent.orders.describe import describe
from farshore_agent.orders.force import boot
from farshore_agent.settings import AgentSettings
from farshore_agent.settings.layers import LocalFile
from farshore_protocol.ports import Runner
from farshore_shell.system import World as Outside
from tests.simulation.disk import DISKS, Disk, Image, image_of, lay_out
from tests.simulation.loop import Process
from tests.simulation.network import Named, SimRoad
from tests.simulation.obedience import Obedience, watch
from tests.simulation.ports import START_US, Dice, Timepiece, Worker

if TYPE_CHECKING:
    from tests.simulation.world import World

STREAMS: Final = ("alarms", "meter", "log")
_REBOOT_S: Final = 20.0
_DOWN_S: Final = 120.0


_described: list[bytes] = []


async def _describe(folder: Path) -> bytes:
    """The schema of the settings, made once for all agents: it is the same for each."""
    if not _described:
        _described.append(await describe(folder))
    return _described[0]


class SimSite:
    """One machine. Its clone is another one with the same site's identity.

    Attributes:
        name: of the machine.
        site: of the site that it says it is.
        pace_s: between two appends of its producer, on average; the producer pauses while `is_calm`.
    """

    def __init__(self, world: World, name: str, site: str, settings: AgentSettings, image: Image | None = None) -> None:
        self.world = world
        self.name = name
        self.site = site
        self.clock = Timepiece(world.loop)
        self.disk = Disk()
        self.pace_s = 20.0
        self.is_calm = False
        self.backup: Image | None = None
        self.agent: Agent | None = None
        self.boots = 0
        self.process = Process(name, self.kill)
        self.process.alive = False
        self.dice = Dice(random.Random(0))
        self.promised: dict[Named, int] = {}
        self.obedience = Obedience()
        self._settings = settings
        self._image: Image = image or {}
        self._folder = world.folder / f"{name}-0"
        self._stop = asyncio.Event()

    @property
    def is_up(self) -> bool:
        return self.process.alive

    # ---------------------------------------------------------- life and death

    def boot(self, replay: tuple[bytes, ...] = ()) -> None:
        """Start with what is on the disk. With `replay`, the machine goes on from a snapshot of its memory."""
        if self.is_up:
            return
        self.boots += 1
        self.agent, self._stop, self.promised = None, asyncio.Event(), {}
        self.clock.booted_s = self.clock.seconds()
        self._folder = self.world.folder / f"{self.name}-{self.boots}"
        lay_out(self._image, self._folder)
        self.process = process = Process(self.name, lambda: self.crash(self.dice.rng.expovariate(1 / _DOWN_S)))
        DISKS[process] = self.disk
        self.dice = Dice(random.Random(f"{self.world.seed} {self.name} {self.boots}"), replay)
        self.world.say(f"{self.name} starts")
        self.world.keep(self.world.loop.create_task(self._main(process), context=process.context()))

    def machine(self, process: Process) -> Machine:
        """What the agent takes from this machine."""

        @contextmanager
        def worker(_name: str) -> Iterator[Runner]:
            yield Worker(process, self.dice.rng)

        road = SimRoad(self.world.network, self.name, self.clock, self.promised)
        return Machine(Outside(self.clock, self.dice), road, worker, _describe)

    def kill(self) -> None:
        """As SIGKILL, or a power cut that loses nothing that was synced."""
        if self.is_up:
            self._image = image_of(self._folder)
            self.process.alive = False
            self.agent = None
            self.world.loop.bury()
            shutil.rmtree(self._folder)
            self.world.count("agent killed")
            self.world.say(f"{self.name} dies at point {self.process.points}")

    def crash(self, down_s: float) -> None:
        """Die, and come back after a while."""
        self.kill()
        self.world.later(down_s, self.boot)

    def stop(self) -> None:
        """As SIGTERM."""
        self._stop.set()

    def image(self) -> Image:
        """The disk as it is now."""
        return image_of(self._folder) if self.is_up else self._image

    def restore(self, image: Image) -> None:
        """The disk is replaced by an older copy."""
        self.kill()
        self.world.truth.disk_replaced(self.site, self._image, image, self.world.hub.image())
        self._image, self.obedience = image, Obedience()
        self.boot()

    async def _main(self, process: Process) -> None:
        """The agent until it is told to stop; started again if it cannot start, as a service manager does."""
        try:
            machine = self.machine(process)
            async with Agent.started(self._given(), forward=False, machine=machine) as agent:
                watch(self, agent)
                async with agent.delivering():
                    self.agent = agent
                    try:
                        await self._produce(agent)
                    finally:
                        self.agent = None
        except Exception as error:  # noqa: BLE001 - whatever it is, the service manager starts it again
            self.world.say(f"{self.name} fails: {type(error).__name__}: {error}")
            self.world.count("agent failed")
        else:
            self.world.say(f"{self.name} has stopped")
            self.world.count("agent stopped")
        self._image = image_of(self._folder)
        process.alive = False
        self.world.loop.bury()
        shutil.rmtree(self._folder)
        self.world.later(_REBOOT_S, self.boot)

    def _given(self) -> AgentSettings | LocalFile:
        """The settings, as a file if they can be one."""
        settings = replace(self._settings, state_dir=self._folder)
        tables = self.world.plan.tables
        if not self.world.plan.orders or tables is None:
            return settings
        local = LocalFile({**tables, "state_dir": str(self._folder)}, "agent.toml", self._folder, settings)
        boot(local)  # An agent without doors of its own is no service, for which its start would be one in a trial.
        return local

    async def join(self, token: str) -> None:
        """Enrol, before anything goes wrong."""
        process = Process(self.name, self.kill)
        machine = self.machine(process)
        identity = await enrol(parse_token(token), machine.world, road=machine.road)
        identity.save(self._folder / IDENTITY)
        self._image = image_of(self._folder)
        shutil.rmtree(self._folder)

    # --------------------------------------------------------------- producers

    async def _produce(self, agent: Agent) -> None:
        rng = self.dice.rng
        while not self._stop.is_set():
            pause_s = rng.expovariate(1 / self.pace_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()
            except TimeoutError:
                if not self.is_calm:
                    await self._append(agent, rng.choice(STREAMS), rng.randint(1, 5))

    async def _append(self, agent: Agent, stream: str, count: int) -> None:
        truth, rng = self.world.truth, self.dice.rng
        names = [truth.make(self.site, stream) for _ in range(count)]
        records: list[dict[str, Any]] = [
            {"ts": START_US // 1_000_000 + at, "name": name, "load": load_of(name, self.world.blob_bytes)}
            for at, name in enumerate(names)
        ]
        if rng.random() < self.world.garbage:
            records.insert(rng.randint(0, count), {"ts": "never", "name": "refused at the door"})
        try:
            appended = await agent.append(stream, records)
        except (BufferFull, Stopping):
            truth.refused.update(names)
            self.world.count("append refused")
        except AgentError:
            self.world.count("append failed")
        else:
            truth.promise((self.site, appended.incarnation, stream), appended.first, names)
            self.promised[appended.incarnation, stream] = appended.last
            self.world.count("records promised", len(names))


def load_of(name: str, size: int) -> str:
    """What a record carries; follows from its name, so that the oracle knows it."""
    return random.Random(name).randbytes(size).hex()
