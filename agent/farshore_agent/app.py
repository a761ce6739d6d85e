"""The only place where the rooms are put together: `Agent`, for a program that holds it and for the service.

Stopping loses nothing: the doors close first and finish what they have begun, then one last exchange, then the commits
that are queued, then the file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from farshore_agent import loops, metrics, status
from farshore_agent.buffer import Buffer, Settled
from farshore_agent.collect.http import door
from farshore_agent.collect.input import InputContext
from farshore_agent.collect.python import PythonDoor
from farshore_agent.control import SOCKET, with_control
from farshore_agent.delivery import Delivery
from farshore_agent.errors import AgentError, LinkError
from farshore_agent.forward import stick
from farshore_agent.forward.bell import Bell
from farshore_agent.lock import StateLock
from farshore_agent.machine import Machine, real_machine
from farshore_agent.net.server import Server
from farshore_agent.orders import Orders
from farshore_agent.orders.commands import Commands
from farshore_agent.orders.force import boot, peek
from farshore_agent.orders.orders import Site
from farshore_agent.orders.push import Push
from farshore_agent.orders.state import FOLDER, Book
from farshore_agent.orders.steward import Steward
from farshore_agent.recent_log import RecentLog
from farshore_agent.running import Running
from farshore_agent.running.duties import Duties
from farshore_agent.running.inputs import Inputs
from farshore_agent.running.tables import Tables
from farshore_agent.settings import AgentSettings, StreamPolicies
from farshore_agent.settings.layers import Effective, LocalFile, load_file
from farshore_protocol.limits import MAX_SEQUENCE
from farshore_protocol.ports import Runner

if TYPE_CHECKING:
    from farshore_agent.tables.room import Outside

BUFFER: Final = "buffer.db"
IDENTITY: Final = "identity"
LAST_WORDS_S: Final = 2.0
_FLUSH_LOOK_S: Final = 1.0
_SEE_STATUS: Final = "see: farshore-agent status"


class Agent:
    """An agent in this process. Made by `open`; owns the state folder until it is closed."""

    def __init__(
        self,
        effective: Effective,
        local: LocalFile | None,
        *,
        buffer: Buffer,
        policies: StreamPolicies,
        machine: Machine,
        runner: Runner,
    ) -> None:
        settings = effective.settings
        self._effective, self.local = effective, local
        self._state_dir = settings.state_dir
        self._buffer = buffer
        self._full = Bell()
        buffer.on_full = self._full.ring
        self._world = world = machine.world
        self._policies = policies
        self._delivered = Bell()
        self._commits = metrics.Histogram()
        self.recent_log = RecentLog()
        self._python = PythonDoor(buffer.append, policies, world.clock)
        self.append = self._python.append
        self.delivery = Delivery(
            buffer=buffer,
            settings=settings.forward,
            identity_dir=settings.state_dir / IDENTITY,
            world=world,
            road=machine.road,
            runner=runner,
            on_delivered=self._delivered.ring,
            on_linked=self._full.ring,  # records linger shorter then: what is due by that is not to wait for a look
        )
        self.running = Running(
            settings,
            buffer=buffer,
            policies=policies,
            delivery=self.delivery,
            inputs=Inputs(self._context_telling, world.clock, buffer.caught_up),
            tables=Tables(machine.worker, self.context, self._around_tables, buffer.caught_up),
        )
        self._book = book = Book(settings.state_dir, runner)
        self._commands = Commands(book, settings.orders.commands, world.clock)
        self._commands.duties = Duties(self, buffer, self.delivery, book).by_name()
        self._commands.on_forget = lambda: buffer.pause(())
        self.steward = Steward(book, local, effective, self.running, world.clock) if local else None
        self._describe = partial(machine.describe, settings.state_dir / FOLDER)
        self.orders = Orders(
            settings.orders,
            book=book,
            steward=self.steward,
            commands=self._commands,
            site=Site(
                lambda: self.delivery.keeper.current,
                self.delivery.hub_now_us,
                self._describe,
                self.delivery.keeper.follow,
            ),
            clock=world.clock,
        )
        self.running.more_troubles = lambda: self.recent_log.errors
        self.orders.listen(self.delivery.wake)
        keeper, folder = self.delivery.keeper, settings.state_dir / IDENTITY
        self._push = Push(self.orders, lambda: keeper.current, folder, lambda: self.running.settings.forward, world)
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
        async with cls.started(load_file(Path(path)), forward=forward) as agent:
            yield agent

    @classmethod
    @asynccontextmanager
    async def started(
        cls, given: AgentSettings | LocalFile, *, forward: bool, machine: Machine | None = None
    ) -> AsyncIterator[Self]:
        """The same with settings that were read already, and perhaps on another machine.

        The hub can change settings only where there is a file for them to go over.
        """
        machine = machine or real_machine()
        local = given if isinstance(given, LocalFile) else None
        state_dir = given.settings.state_dir if isinstance(given, LocalFile) else given.state_dir
        async with AsyncExitStack() as stack:
            stack.enter_context(StateLock(state_dir))
            effective = in_force(given, starting=forward)
            settings, policies = effective.settings, effective.settings.policies()
            runner = stack.enter_context(machine.worker("buffer"))
            buffer = await Buffer.open(
                state_dir / BUFFER,
                settings=settings.buffer,
                seal=settings.seal,
                policies=policies,
                clock=machine.world.clock,
                random=machine.world.random,
                runner=runner,
            )
            stack.push_async_callback(buffer.close)
            agent = cls(effective, local, buffer=buffer, policies=policies, machine=machine, runner=runner)
            await buffer.pause(agent._book.state.paused)
            if not forward:
                yield agent
                return
            async with agent.capturing(), agent.delivering(), agent._controlled():
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
                doors=self.running.inputs.doors,
                identity=keeper.current,
                problem=str(keeper.problem or ""),
                link=self.delivery.report,
                buffer=await self._buffer.status(),
                tables=self.running.tables.reports(),
                orders={**self.orders.status(), "push": self._push.status()},
            )
        )

    async def support_bundle(self) -> bytes:
        """Everything that somebody needs who is to help from afar, and no secrets; see `support.bundle`."""
        from farshore_agent.support.bundle import bundle  # noqa: PLC0415 - the doctor is rarely called

        identity_dir = self._state_dir / IDENTITY
        return await bundle(
            self.effective, await self.status(), self.recent_log.lines, identity_dir, self._world.clock.now_us()
        )

    @property
    def effective(self) -> Effective:
        """The settings in force."""
        return self.steward.in_force if self.steward else self._effective

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

    async def resend(self, stream: str | None) -> tuple[int, int]:
        """Send once more what the hub has of a stream, or of all, as far as it is kept; how much."""
        found = await self._buffer.resend(stream, 1, MAX_SEQUENCE)
        self.delivery.wake()
        return found

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
            state_dir=self._state_dir,
            metrics=self.metrics,
        )

    def _context_telling(self, opened: Callable[[str], None]) -> InputContext:
        return replace(self.context(), opened=opened)

    def _around_tables(self) -> Outside:
        from farshore_agent.tables.room import Outside  # noqa: PLC0415 - an agent without tables needs none of it

        return Outside(self._world.random, lambda: self.delivery.report.offset_us, self.delivery.open_hub)

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
    async def capturing(self) -> AsyncIterator[None]:
        """Capture and follow the tables of the settings for as long as the block runs."""
        await self.running.tables.use(self.running.settings.tables)
        try:
            yield
        finally:
            await self.running.tables.stop()

    @asynccontextmanager
    async def _controlled(self) -> AsyncIterator[None]:
        server = Server(with_control(door(self.context()), self, self._flush_within), clock=self._world.clock)
        socket = self._state_dir / SOCKET
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
            "sealing": partial(loops.seal, buffer, delivery, self._linger_s, self._full, clock),
            "forwarding": delivery.run,
            "identity": delivery.keeper.run,
            "orders": self.orders.run,
            "push": self._push.run,
            "commands": self._commands.run,
            "expiry": partial(loops.expire, buffer, delivery, clock),
            "scrub": partial(loops.scrub, buffer, clock),
            "status": partial(loops.write_status, self._write_status, clock),
            **({"settings": self.steward.run} if self.steward else {}),
        }
        return {name: loops.keep_going(name, each, clock) for name, each in work.items()}

    def _linger_s(self) -> float:
        return self.running.settings.seal.linger_s

    async def _flush_within(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self.flush()

    async def _write_status(self, *, running: bool = True) -> None:
        status.write(self._state_dir, {**await self.status(), "running": running})


def in_force(given: AgentSettings | LocalFile, *, starting: bool) -> Effective:
    """The settings to begin with; an agent that starts rolls back what cannot be, under its lock."""
    if isinstance(given, AgentSettings):
        return Effective(given, {}, {})
    return boot(given) if starting else peek(given)
