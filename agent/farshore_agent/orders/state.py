"""What a site durably knows of its orders: which came, what is in force, what is on trial, what the hub was told.

It stands in one private file that is replaced whole, so that whatever ends the agent leaves the old state or the
new one. The buffer is not touched by any of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Struct

from farshore_agent.identity.files import make_private_dir
from farshore_protocol.limits import MIB
from farshore_protocol.orders import CommandReport, SettingsReport
from farshore_protocol.ports import Runner
from farshore_shell.files import write_private

_LOG: Final = logging.getLogger(__name__)

FOLDER: Final = "orders"
FILE: Final = "state.json"
MAX_BYTES: Final = 4 * MIB
"""Of the file: two settings, the answer to a command, and not much else."""

_VERSION: Final = 1


class Pushed(Struct, frozen=True):
    """Settings of the hub, as they came: their order's number, the hub's revision, the text."""

    number: int
    revision: int
    settings: str


class Trial(Struct, frozen=True):
    """Settings that are not kept yet.

    Attributes:
        probe_s: for how long the site watches itself under them.
        entered: they were found valid, and are in force; before that they are only being looked at.
        starts: of the agent since they came.
        link_was_up: before them.
        troubles: what was wrong before them already.
    """

    pushed: Pushed
    probe_s: int
    entered: bool = False
    starts: int = 0
    link_was_up: bool = False
    troubles: tuple[str, ...] = ()


class Spoken(Struct, frozen=True):
    """The newest report: its number, when it was made by the agent's clock, and the hash of what it says."""

    number: int = 0
    at_us: int = 0
    content: bytes = b""


class State(Struct, frozen=True, omit_defaults=True):
    """All of it; of one site of one hub.

    Attributes:
        kept: the hub's settings that are in force when there is no trial.
        trial: newer ones that are being checked or probed.
        settings_number, command_number: the highest that came.
        settings: what is reported of the settings.
        begun: name of the command that was begun and is not answered.
        command: the answer to the latest command.
        paused: streams that are not forwarded.
        spoken: the newest report.
        heard: the newest report that the hub has; None when it has never said a word of orders.
        has_command: whether the hub has `command`.
        introduced: hash of the introduction that the hub has.
    """

    hub: bytes = b""
    site: str = ""
    version: int = _VERSION
    kept: Pushed | None = None
    trial: Trial | None = None
    settings_number: int = 0
    settings: SettingsReport | None = None
    command_number: int = 0
    begun: str = ""
    command: CommandReport | None = None
    paused: Annotated[tuple[str, ...], msgspec.Meta(max_length=10_000)] = ()
    spoken: Spoken = Spoken()
    heard: int | None = None
    has_command: bool = False
    introduced: bytes = b""

    @property
    def running(self) -> Pushed | None:
        """The hub's settings that are in force."""
        return self.trial.pushed if self.trial and self.trial.entered else self.kept


class Book:
    """The state, and its file.

    Attributes:
        state: what is on disk; an empty one before anything was.
        runner: what blocks is done there.
    """

    def __init__(self, state_dir: Path, runner: Runner) -> None:
        self._state_dir = state_dir
        self.runner = runner
        self._one_at_a_time = asyncio.Lock()
        self.state = load(state_dir)

    async def change(self, step: Callable[[State], State]) -> State:
        """Take a step, durably; the state after it. Steps come one after the other.

        Raises:
            OSError: the disk is full or refuses; the state is what it was.
        """
        async with self._one_at_a_time:
            state = step(self.state)
            if state != self.state:
                await self.runner(partial(save, self._state_dir, state))
                self.state = state
            return state


def save(state_dir: Path, state: State) -> None:
    """Replace the file, durably.

    Raises:
        OSError: the disk is full or refuses.
    """
    folder = state_dir / FOLDER
    make_private_dir(folder)
    write_private(folder / FILE, msgspec.json.format(msgspec.json.encode(state), indent=1))


def load(state_dir: Path) -> State:
    """What was saved last.

    Where it cannot be read, the site goes on with its own settings, and the hub sends its own again.
    """
    path = state_dir / FOLDER / FILE
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(MAX_BYTES), type=State)
    except FileNotFoundError:
        return State()
    except OSError as error:
        _LOG.error("%s cannot be read, the hub's settings are not in force: %s", path, error.strerror)
        return State()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _LOG.error("%s is damaged, the hub's settings are not in force: %s", path, error)
        return State()
    if found.version != _VERSION:
        _LOG.error("%s is of a newer agent, the hub's settings are not in force", path)
        return State()
    return found
