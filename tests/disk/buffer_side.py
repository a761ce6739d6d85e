"""Lives of the agent's buffer, for whoever cuts their power."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from farshore_agent.buffer import connection
from tests.disk.agent_disk import agent_disk
from tests.disk.buffer_life import Life
from tests.disk.buffer_verdict import Judge
from tests.disk.medium import Files, Operation
from tests.disk.remembered import checksums_remembered
from tests.disk.tape import Tape

STEPS: Final = 60


class Lived:
    """One life that is over."""

    def __init__(self, operations: list[Operation], judge: Judge) -> None:
        self.operations = operations
        self._judge = judge

    def judge(self, files: Files, after: int, folder: Path, *, to_the_end: bool) -> list[str]:
        """Name what is wrong with these files, if the power went after so many operations."""
        with checksums_remembered():
            return asyncio.run(self._judge.judge(files, after, folder, to_the_end=to_the_end))


def live(seed: int, folder: Path, synchronous: str = "FULL") -> Lived:
    """Live one life in `folder`; only a control has another `synchronous` than what is shipped."""
    place, tape = folder / "live", Tape()
    place.mkdir()
    with agent_disk(place, tape) as disk, _pragma("synchronous", synchronous):
        life = Life(disk, seed)
        asyncio.run(life.live(STEPS))
    return Lived(tape.operations, Judge(life))


@contextmanager
def _pragma(name: str, value: str) -> Iterator[None]:
    """Let the buffer be opened with another value, while the body runs."""
    shipped = dict(connection._PRAGMAS)
    assert name in shipped
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_PRAGMAS", tuple({**shipped, name: value}.items()))
        yield
