"""The hub's way to the tape: the agent's file system, for every database that this process opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.disk.agent_disk import AgentDisk
from tests.disk.tape import Tape


class HubDisk(AgentDisk):
    """The disk of one hub: whatever this process opens in the folder is on it."""

    IS_DEFAULT = True


@contextmanager
def hub_disk(folder: Path, tape: Tape) -> Iterator[HubDisk]:
    """The file system of a folder, for as long as the body runs."""
    disk = HubDisk(folder, tape)
    try:
        yield disk
    finally:
        disk.unregister()
