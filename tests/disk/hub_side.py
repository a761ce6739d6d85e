"""Lives of the hub's store, for whoever cuts their power."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from farshore_hub.store import engine
from tests.disk.hub_disk import hub_disk
from tests.disk.hub_life import HubLife
from tests.disk.hub_verdict import HubJudge
from tests.disk.medium import Files, Operation
from tests.disk.tape import Tape

STEPS: Final = 60
_SHIPPED: Final = "synchronous=FULL"


class Lived:
    """One life that is over."""

    def __init__(self, operations: list[Operation], judge: HubJudge) -> None:
        self.operations = operations
        self._judge = judge

    def judge(self, files: Files, after: int, folder: Path, *, to_the_end: bool) -> list[str]:
        """Name what is wrong with these files, if the power went after so many operations."""
        return asyncio.run(self._judge.judge(files, after, folder, to_the_end=to_the_end))


def live(seed: int, folder: Path, synchronous: str = "FULL") -> Lived:
    """Live one life in `folder`; only a control has another `synchronous` than what is shipped."""
    place, tape = folder / "live", Tape()
    place.mkdir()
    with hub_disk(place, tape) as disk, _synchronous(synchronous):
        life = HubLife(disk, seed)
        asyncio.run(life.live(STEPS))
    return Lived(tape.operations, HubJudge(life))


@contextmanager
def _synchronous(level: str) -> Iterator[None]:
    """Let the hub's database be opened with another level, while the body runs."""
    assert _SHIPPED in engine._SQLITE_PRAGMAS
    pragmas = [f"synchronous={level}" if each == _SHIPPED else each for each in engine._SQLITE_PRAGMAS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_SQLITE_PRAGMAS", tuple(pragmas))
        yield
