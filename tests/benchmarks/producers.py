"""256 producers in one program, each handing over one record a call through the Python door.

A program opens the agent in its own process (`Agent.open`), and 256 tasks call `append` with one record at a time, each
waiting for its answer, which comes after fsync. Meanwhile the link is cut; then it is restored, everything is delivered
and compared. The records are Python values that were made before. CPU is that of the whole program, the 256 tasks and
the sealing included, while the records are accepted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.place import prepared_place
from tests.benchmarks.rig.proof import hashes_of
from tests.benchmarks.rig.workload import Workload

_ROOT = Path(__file__).resolve().parents[2]


class Program:
    """The program with the agent in it; does what it is told, and tells what came of it."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def do(self, what: str) -> dict[str, Any]:
        """Tell it, and wait until it is done."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{what}\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the program has ended with {self._child.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def program(settings: Path, *, records: int, producers: int) -> Iterator[Program]:
    """The program, until the block ends."""
    line = [sys.executable, "-m", "tests.benchmarks.rig.program", str(settings), str(records), str(producers)]
    child = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    try:
        yield Program(child)
    finally:
        child.communicate()


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    with prepared_place(folder, options.store) as place:
        with program(place.edge.settings, records=options.records, producers=options.producers) as agent:
            agent.do("open")
            place.link.cut()
            appended = agent.do("append")
            place.link.restore()
            agent.do("flush")
        place.prove(hashes_of(Workload().lines(options.records)))
    least = 100_000 if options.producers == 256 else None
    return [
        Figure("acknowledged after fsync", options.records / appended["seconds"], "records/s", least=least),
        Figure("CPU per record", appended["cpu_s"] / options.records * 1e6, "µs"),
        Figure("records per CPU second", options.records / appended["cpu_s"], "records/s"),
        Figure("latency p50", appended["p50_ms"], "ms"),
        Figure("latency p99", appended["p99_ms"], "ms"),
    ]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--producers", type=int, default=256, metavar="N", help="tasks at one time (default 256)")


BENCHMARK = Benchmark(
    name="producers",
    about=__doc__,
    examples=["producers --records 20_000", "producers --producers 1 --records 5_000"],
    measure=measure,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
