"""The only place where the rooms are put together: `Agent` for a program that holds it, `run_agent` for the service.

Stopping loses nothing: the doors close first and finish what they have begun, then one last exchange, then the commits
that are queued, then the file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from farshore_agent import loops, metrics, status
from farshore_agent.buffer import Buffer, Settled
from farshore_agent.collect.http import door
from farshore_agent.collect.input import Input, InputContext
from farshore_agent.collect.python import PythonDoor
from farshore_agent.control import SOCKET, with_control
from farshore_agent.delivery import Delivery
from farshore_agent.errors import AgentError, LinkError
from farshore_agent.forward import stick
from farshore_agent.forward.bell import Bell
from farshore_agent.identity.road import Road, TlsRoad
from farshore_agent.lock import StateLock
from farshore_agent.net.server import Server
from farshore_agent.orders import Orders
from farshore_agent.orders.describe import describe, describe_apart
from farshore_agent.orders.push import Push
from farshore_agent.orders.state import Book
from farshore_agent.settings import AgentSettings, load
from farshore_agent.settings.inputs import InputSettings, installed
from farshore_protocol.ports import Runner
from farshore_shell.supervisor import Supervisor
from farshore_shell.system import ThreadRunner, World, real_world

if TYPE_CHECKING:
    from farshore_agent.tables.room import Tables

_LOG: Final = logging.getLogger(__name__)
BUFFER: Final = "buffer.db"
IDENTITY: Final = "identity"
LAST_WORDS_S: Final = 2.0
_FLUSH_LOOK_S: Final = 1.0
_DOORS_OPEN_S: Final = 10.0
"""A door that is not open after that, as when a plugin fails again and again, keeps the others from nothing."""
_SEE_STATUS: Final = "see: farshore-agent status"


@dataclass(frozen=True, slots=True)
class Machine:
    """What an agent takes from the machine that it runs on. The simulation hands in its own.

    Attributes:
        road: to the hub.
        worker: a thread for the work of that name, for as long as the agent lives.
        describe: makes the schema of the settings that hubs are told.
    """

    world: World
    road: Road
    worker: Callable[[str], AbstractContextManager[Runner]]
    describe: Callable[[], Awaitable[bytes]] = describe


def real_machine() -> Machine:
    """This one."""
    world = real_world()
    return Machine(world, TlsRoad(world.clock), _thread, describe_apart)


@contextmanager
def _thread(name: str) -> Iterator[Runner]:
    runner = ThreadRunner(name)
    try:
        yield runner
    finally:
        runner.close()


class Agent:
    """An agent in this process. Made by `open`; owns the state folder until it is closed."""

    def __init__(self, settings: AgentSettings, buffer: Buffer, machine: Machine, runner: Runner) -> None:
        self._settings = settings
        self._buffer = buffer
        self._full = Bell()
        buffer.on_full = self._full.ring
        self._world = world = machine.world
        self._policies = settings.policies()
        self._delivered = Bell()
        self._commits = metrics.Histogram()
        self._python = PythonDoor(buffer.append, self._policies, world.clock)
        self._doors: list[str] = []
        self._tables: Tables | None = None
        self.append = self._python.append
        self.delivery = Delivery(
            buffer=buffer,
            settings=settings.forward,
            identity_dir=settings.state_dir / IDENTITY,
            world=world,
            road=machine.road,
            runner=runner,
            on_delivered=self._delivered.ring,
        )
        self.orders = Orders(
            book=Book(settings.state_dir, runner),
            identity=lambda: self.delivery.keeper.current,
            hub_now_us=self.delivery.hub_now_us,
            describe=machine.describe,
            clock=world.clock,
            runner=runner,
        )
        self.orders.listen(self.delivery.wake)
        keeper, folder = self.delivery.keeper, settings.state_dir / IDENTITY
        self._push = Push(self.orders, lambda: keeper.current, folder, settings.forward, world)
        self.delivery.mailbox = self.orders

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path | str, *, forward: bool = True) -> AsyncIterator[Self]:
        """The agent with the settings file at `path`; with `forward` it also delivers.

        Raises:
            SettingsError: with all that is wrong in the file.
            AlreadyRunning: another process has the state folder.
            BufferBroken: the disk refuses, or a newer agent made the buffer.
        """
        async with cls.started(load(Path(path)), forward=forward) as agent:
            yield agent

    @classmethod
    @asynccontextmanager
    async def started(
        cls, settings: AgentSettings, *, forward: bool, machine: Machine | None = None
    ) -> AsyncIterator[Self]:
        """The same with settings that were read already, and perhaps on another machine."""
        machine = machine or real_machine()
        async with AsyncExitStack() as stack:
            stack.enter_context(StateLock(settings.state_dir))
            runner = stack.enter_context(machine.worker("buffer"))
            buffer = await Buffer.open(
                settings.state_dir / BUFFER,
                settings=settings.buffer,
                seal=settings.seal,
                policies=settings.policies(),
                clock=machine.world.clock,
                random=machine.world.random,
                runner=runner,
            )
            stack.push_async_callback(buffer.close)
            agent = cls(settings, buffer, machine, runner)
            if not forward:
                yield agent
                return
            if settings.tables:
                agent._tables = await stack.enter_async_context(agent._capturing(machine))
            async with agent.delivering(), agent._controlled():
                yield agent

    # ------------------------------------------------------------- in use

    async def flush(self) -> None:
        """Return when the hub has everything that was appended before the call. Waits for as long as that takes.

        Raises:
            NotEnrolled, IdentityError: there is no hub to deliver to.
            LinkError: the hub does not take some of it; it is kept.
        """
        await self.delivery.courier()
        await self._buffer.seal_due(link_up=True, flush=True)
        _, newest = await self._buffer.waiting_ids()
        self.delivery.wake()
        while 0 < (await self._buffer.waiting_ids())[0] <= newest:
            await self._delivered.sleep(self._world.clock, _FLUSH_LOOK_S)
        held_back = sum(stream.held_back for stream in (await self._buffer.status()).streams)
        if held_back:
            raise LinkError(
                f"the hub did not take {held_back} batch(es); they are kept and tried again", remedy=_SEE_STATUS
            )

    async def status(self) -> dict[str, Any]:
        """The status document; see `status`."""
        keeper = self.delivery.keeper
        return status.document(
            status.Present(
                at_us=self._world.clock.now_us(),
                pid=os.getpid(),
                doors=self._doors,
                identity=keeper.current,
                problem=str(keeper.problem or ""),
                link=self.delivery.report,
                buffer=await self._buffer.status(),
                tables=self._tables.report() if self._tables else [],
                orders={**self.orders.status(), "push": self._push.status()},
            )
        )

    async def repair(self) -> list[str]:
        """Read and check the whole buffer and repair it; what was found."""
        return await self._buffer.scrub_all()

    async def metrics(self) -> str:
        """Prometheus text."""
        return metrics.render(await self.status(), self._commits)

    async def plan_export(self, max_bytes: int) -> list[list[int]]:
        """Seal everything; which batches go into which file.

        Raises:
            NotEnrolled, IdentityError: nobody could open the files.
        """
        await self.delivery.courier()
        await self.orders.turn()
        return await stick.plan(self._buffer, max_bytes=max_bytes)

    async def export(self, batches: Sequence[int]) -> bytes:
        """A parcel with those batches, as far as they still wait.

        Raises:
            NotEnrolled, IdentityError: nobody could open it.
        """
        return await stick.pack(self._buffer, await self.delivery.courier(), batches)

    async def import_answer(self, raw: bytes) -> Settled:
        """Apply the hub's answer to an exported parcel.

        Raises:
            ProtocolError: it is not an answer of this hub to this site.
            NotEnrolled, IdentityError: there is no identity.
        """
        _, settled = await (await self.delivery.courier()).settle(raw)
        self._delivered.ring()
        await self.orders.turn()
        return settled

    def context(self) -> InputContext:
        """What inputs work with."""
        return InputContext(
            append=metrics.TimedAppend(self._buffer.append, self._world.clock, self._commits),
            load_checkpoint=self._buffer.load_checkpoint,
            policies=self._policies,
            clock=self._world.clock,
            state_dir=self._settings.state_dir,
            metrics=self.metrics,
        )

    def inputs(self, tell: Callable[[str], None] | None = None) -> Mapping[str, Coroutine[Any, Any, NoReturn]]:
        """The inputs of the settings, by name, ready to be awaited; `tell` gets a line for each once it is open."""
        points = installed()
        return {
            name: self._input(points[settings.type].load(), name, settings, tell)
            for name, settings in self._settings.inputs.items()
        }

    def _input(
        self, make: Callable[..., Input], name: str, settings: InputSettings, tell: Callable[[str], None] | None
    ) -> Coroutine[Any, Any, NoReturn]:
        def opened(where: str) -> None:
            door = f"{name}: {settings.type}, {where}"
            # An input that has failed and is started again opens its door again.
            if door not in self._doors:
                self._doors.append(door)
                if tell:
                    tell(f"door {door}")

        context = replace(self.context(), opened=opened)
        return loops.collect(name, partial(make, name, settings, context), self._world.clock)

    # ----------------------------------------------------------- life cycle

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Seal, deliver and keep the identity fresh for as long as the block runs; `started` does it if it is asked."""
        running = [asyncio.create_task(work, name=name) for name, work in self._loops().items()]
        try:
            yield
        finally:
            await self.delivery.last_words(LAST_WORDS_S)
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._write_status(running=False)

    @asynccontextmanager
    async def _capturing(self, machine: Machine) -> AsyncIterator[Tables]:
        """The loops of the applications' tables, which `_loops` runs; their files are open for as long as the block."""
        # An agent that has none does without the whole room.
        from farshore_agent.tables.room import Outside, opened_tables  # noqa: PLC0415

        outside = Outside(self._world.random, lambda: self.delivery.report.offset_us, self.delivery.open_hub)
        with machine.worker("tables") as runner:
            async with opened_tables(self._settings.tables, self.context(), runner, outside) as tables:
                yield tables

    @asynccontextmanager
    async def _controlled(self) -> AsyncIterator[None]:
        server = Server(with_control(door(self.context()), self, self._flush_within), clock=self._world.clock)
        socket = self._settings.state_dir / SOCKET
        try:
            await server.listen_unix(socket)
        except OSError as error:
            raise AgentError(
                f"{socket}: {error}", remedy="use a state_dir with a shorter path, on a local disk"
            ) from None
        try:
            yield
        finally:
            await server.stop()

    def _loops(self) -> Mapping[str, Any]:
        clock, buffer, delivery = self._world.clock, self._buffer, self.delivery
        work: Mapping[str, Callable[[], Any]] = {
            "sealing": partial(loops.seal, buffer, delivery, self._settings.seal, self._full, clock),
            "forwarding": delivery.run,
            "identity": delivery.keeper.run,
            "orders": self.orders.run,
            "push": self._push.run,
            "expiry": partial(loops.expire, buffer, delivery, clock),
            "scrub": partial(loops.scrub, buffer, clock),
            "status": partial(loops.write_status, self._write_status, clock),
            **(self._tables.loops() if self._tables else {}),
        }
        return {name: loops.keep_going(name, each, clock) for name, each in work.items()}

    async def _flush_within(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self.flush()

    async def _write_status(self, *, running: bool = True) -> None:
        status.write(self._settings.state_dir, {**await self.status(), "running": running})


async def run_agent(
    settings: AgentSettings, *, tell: Callable[[str], None] = print, supervisor: Supervisor | None = None
) -> None:
    """Run the agent with its inputs until SIGTERM or SIGINT; `tell` gets a line for whatever is open.

    The `supervisor`, by default nobody, hears when all doors are open, that the loop turns, and when it is to end.

    Raises:
        AgentError: the state folder, the buffer or a door cannot be used.
    """
    supervisor = supervisor or Supervisor()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with supervisor.alive(), Agent.started(settings, forward=True) as agent:
        await _serve(agent, settings, stop, tell, supervisor)
    tell("stopped")


async def _serve(
    agent: Agent, settings: AgentSettings, stop: asyncio.Event, tell: Callable[[str], None], supervisor: Supervisor
) -> None:
    opening = _Opening(len(settings.inputs), tell, lambda: supervisor.ready(_about_link(agent)))
    inputs = {
        name: asyncio.create_task(work, name=f"input {name}") for name, work in agent.inputs(opening.opened).items()
    }
    tell(f"control {settings.state_dir / SOCKET}")
    tell(_about_link(agent))
    opening.begin()
    stopping = asyncio.create_task(stop.wait(), name="signals")
    try:
        await asyncio.wait((stopping, *inputs.values()), return_when=asyncio.FIRST_COMPLETED)
    finally:
        supervisor.stopping()
        for task in (stopping, *inputs.values()):
            task.cancel()
        await asyncio.wait((stopping, *inputs.values()))
    for task in inputs.values():
        if not task.cancelled() and (error := task.exception()):
            raise error
    _LOG.info("stopping: the doors are closed")


class _Opening:
    """Counts doors until all are open, or until it has taken too long, and then says so once."""

    def __init__(self, doors: int, tell: Callable[[str], None], ready: Callable[[], None]) -> None:
        self._closed = doors
        self._tell = tell
        self._ready = ready

    def begin(self) -> None:
        asyncio.get_running_loop().call_later(_DOORS_OPEN_S if self._closed else 0, self._ready)

    def opened(self, line: str) -> None:
        self._tell(line)
        self._closed -= 1
        if not self._closed:
            self._ready()


def _about_link(agent: Agent) -> str:
    keeper = agent.delivery.keeper
    if keeper.current is None:
        problem: AgentError | str = keeper.problem or "not enrolled"
        return f"link: none, records are kept here: {problem}"
    return f"link: {keeper.current.site} to {', '.join(keeper.addresses(keeper.current))}"
