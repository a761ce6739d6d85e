from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from farshore_hub.lake.reader import lake_lag
from tests.acceptance.commands import until
from tests.hub.lake.stored import Stored, readings

ROOT = Path(__file__).parents[3]
KILLS = 4


async def test_a_writer_killed_by_sigkill_neither_loses_nor_doubles_a_row(stored: Stored) -> None:
    moments = random.Random(7)
    for kill in range(KILLS):
        for _ in range(40):
            stored.add(readings(10))
        _write_and_kill(stored, after_s=moments.uniform(0, 0.3), when_it_writes=kill % 2 == 1)
        assert stored.sequences() == list(range(1, len(stored.sequences()) + 1))
    assert len(stored.sequences()) > 0
    await stored.drain()
    assert stored.sequences() == list(range(1, KILLS * 400 + 1))
    assert lake_lag(stored.engine).batches == 0


def _write_and_kill(stored: Stored, after_s: float, *, when_it_writes: bool) -> None:
    """Kill a writer so long after it has begun, or after its first file: on a slow machine the other half see none."""
    before = _files(stored)
    url, lake = str(stored.engine.url), str(stored.lake)
    command = [sys.executable, "-m", "tests.hub.lake.writing_process", url, lake, str(stored.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if when_it_writes:
            until("the writer has begun a file", lambda: _files(stored) != before)
        time.sleep(after_s)
        process.kill()


def _files(stored: Stored) -> set[Path]:
    return set(stored.lake.rglob("*.parquet"))
