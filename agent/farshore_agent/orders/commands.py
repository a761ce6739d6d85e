"""Commands of the hub: one after the other, each at most once, each with an answer.

That a command was begun is on disk before anything of it is done. An agent that ends in between answers "interrupted"
after its next start, and leaves it to whoever asked whether to ask again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from msgspec.structs import replace

from farshore_agent.errors import AgentError, ExitCode
from farshore_agent.forward.bell import Bell
from farshore_agent.orders.state import Book, State
from farshore_protocol.errors import ProtocolError
from farshore_protocol.limits import MAX_COMMAND_DATA_BYTES, MAX_TEXT_CHARS
from farshore_protocol.orders import Command, CommandReport, Order
from farshore_protocol.ports import Clock

_LOG: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 60.0
INTERRUPTED: Final = "interrupted: the agent ended before it was done; it may have been done in part"

Arguments = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What there is to say of a command that was done, and what was asked for."""

    text: str
    data: bytes = b""


Duty = Callable[[Arguments], Awaitable[Done]]


class BadArgument(AgentError):
    """The command cannot be done as it was asked for."""

    exit_code = ExitCode.USAGE
    title = "the command cannot be done so"


def begun(state: State, number: int, name: str) -> State:
    """The command is being done. Pure."""
    return replace(state, command_number=number, begun=name, command=None, has_command=False)


def answered(state: State, number: int, done: Done, *, well: bool) -> State:
    """The command was done, or not. Pure."""
    report = CommandReport(number, well, done.text[:MAX_TEXT_CHARS], done.data[:MAX_COMMAND_DATA_BYTES])
    return replace(state, command_number=number, begun="", command=report, has_command=False)


def interrupted(state: State) -> State:
    """The agent has started: what was begun before is not going on. Pure."""
    return answered(state, state.command_number, Done(INTERRUPTED), well=False) if state.begun else state


class Commands:
    """Does what comes, the newest if several wait."""

    def __init__(self, book: Book, allowed: Collection[str], clock: Clock) -> None:
        self._book = book
        self._allowed = frozenset(allowed)
        self._clock = clock
        self._bell = Bell()
        self._waiting: tuple[int, Command] | None = None
        self.duties: Mapping[str, Duty] = {}
        self.on_change: Callable[[], None] = lambda: None
        self.on_forget: Callable[[], Awaitable[None]] = _nothing

    def ask(self, order: Order) -> None:
        """Have it done soon."""
        if order.command and (self._waiting is None or order.number > self._waiting[0]):
            self._waiting = order.number, order.command
            self._bell.ring()

    async def forget(self) -> None:
        """Be as if there had been no command ever."""
        self._waiting = None
        await self.on_forget()

    async def run(self) -> NoReturn:
        """Do what comes, until cancelled."""
        await self._change(interrupted)
        while True:
            await self.turn()
            await self._bell.sleep(self._clock, _LOOK_EVERY_S)

    async def turn(self) -> None:
        """Do what waits."""
        while self._waiting is not None:
            (number, command), self._waiting = self._waiting, None
            if number > self._book.state.command_number:
                await self._obey(number, command)

    async def _obey(self, number: int, command: Command) -> None:
        duty = self.duties.get(command.name)
        if duty is None:
            done, well = Done(f"this agent knows no command {command.name!r}"), False
        elif command.name not in self._allowed:
            done, well = Done(f"this site's owner does not let its hub {command.name} ([orders] commands)"), False
        else:
            await self._change(lambda state: begun(state, number, command.name))
            _LOG.info("the hub's command %s begins", command.name)
            done, well = await _done(duty, command)
        _LOG.info("the hub's command %s: %s", command.name, done.text)
        await self._change(lambda state: answered(state, number, done, well=well))

    async def _change(self, step: Callable[[State], State]) -> None:
        await self._book.change(step)
        self.on_change()


async def _nothing() -> None:
    return None


async def _done(duty: Duty, command: Command) -> tuple[Done, bool]:
    try:
        return await duty(command.arguments), True
    except (AgentError, ProtocolError, OSError) as error:
        return Done(str(error)), False
    except Exception as error:  # noqa: BLE001 - a fault of ours is answered like any other
        _LOG.exception("the command %s failed", command.name)
        return Done(f"{type(error).__name__}: {error}"), False
