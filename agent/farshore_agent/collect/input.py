"""The interface of inputs: what a plugin gets, and what it has to be.

An input is a class under the entry point group `farshore.inputs`. Its attribute `Settings` is the model of its table
in the settings file (`farshore_agent.settings.InputSettings`). It is made with its name, its settings and an
`InputContext`, and `run` until it is cancelled. What it admits it hands to `context.append`, which returns when the
records are on disk; a checkpoint that is handed over with them is stored in the same transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from farshore_agent.buffer.model import Admitted, Appended, Checkpoint
from farshore_agent.errors import BufferBroken, BufferFull
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.streams import StreamPolicies
from farshore_protocol.ports import Clock

FULL_PAUSE_S: Final = 5.0
"""How long an input waits before it tries again when there is no room."""

_LOG = logging.getLogger(__name__)


class Append(Protocol):
    """Stores what was admitted, its refusals in the stream's quarantine, and the checkpoint; all or nothing."""

    async def __call__(self, stream: str, admitted: Admitted, checkpoint: Checkpoint | None = None) -> Appended:
        """Return when it is on disk.

        Raises:
            BufferFull: there is no room and the stream's policy is to refuse. Nothing was stored.
            BufferBroken: the disk does not store. Nothing was stored.
        """
        ...


async def _no_metrics() -> str:
    return ""


def _tell_nobody(_where: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class InputContext:
    """What an input works with.

    Attributes:
        append: stores records.
        load_checkpoint: the value that was stored last under a key of this input.
        policies: of all streams.
        clock: time.
        state_dir: for inputs that need files of their own.
        metrics: the text of `/metrics`, for inputs that are HTTP doors.
        opened: to be called with what the input listens at or reads, once it does.
    """

    append: Append
    load_checkpoint: Callable[[str], Awaitable[bytes | None]]
    policies: StreamPolicies
    clock: Clock
    state_dir: Path
    metrics: Callable[[], Awaitable[str]] = _no_metrics
    opened: Callable[[str], None] = _tell_nobody


class Input(Protocol):
    """A plugin."""

    Settings: ClassVar[type[InputSettings]]

    async def run(self) -> None:
        """Collect until cancelled. An error that ends it is an error of the operator's, with a remedy."""
        ...


async def append_patiently(
    context: InputContext, stream: str, admitted: Admitted, checkpoint: Checkpoint | None
) -> Appended:
    """Append, however long there is no room: for inputs whose source keeps what is not taken yet."""
    told = False
    while True:
        try:
            return await context.append(stream, admitted, checkpoint)
        except (BufferFull, BufferBroken) as error:
            if not told:
                _LOG.warning("%s waits: %s", stream, error)
                told = True
            await context.clock.sleep(FULL_PAUSE_S)
