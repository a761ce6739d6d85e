"""What a record costs in the agent's own code: admitted, committed, sealed. CPU time of one process and thread.

The door's admission, the buffer's group commit and its sealing are called as the agent calls them, in turn and without
HTTP, threads, a link or a hub: so a machine that is busy says nearly the same as an idle one, and two versions can be
compared by running each in turn. `--requests` says how many requests of 1,000 records share a commit. Under effort fast
most of the sealing is a part of the commits.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from farshore_agent.buffer.group import QueuedAppend, size_of
from farshore_agent.buffer.model import Appended
from farshore_agent.buffer.store import Store
from farshore_agent.collect.texts import admit_ndjson
from farshore_agent.settings import BufferSettings, EffortChoice, SealSettings, StreamPolicies, StreamSettings
from farshore_protocol.messages import KeyEpoch
from farshore_protocol.sealing import EpochKey
from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.edge import EFFORTS, STREAM
from tests.benchmarks.rig.workload import Workload

_PER_REQUEST: Final = 1_000
_NOW_US: Final = 1_795_435_200_000_000
_EPOCH: Final = b"epoch-01"


@dataclass(slots=True)
class Used:
    """CPU seconds by part."""

    by_part: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count what the block takes."""
        before_s = time.process_time()
        yield
        self.by_part[part] = self.by_part.get(part, 0.0) + time.process_time() - before_s


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    lines = Workload().lines(options.records)
    bodies = [b"".join(lines[at : at + _PER_REQUEST]) for at in range(0, len(lines), _PER_REQUEST)]
    policies = StreamPolicies(StreamSettings(effort=EffortChoice(options.effort)))
    store, used = _opened(folder / "buffer.db", policies), Used()
    loop = asyncio.new_event_loop()
    gc.collect()
    gc.freeze()
    for at in range(0, len(bodies), options.requests):
        with used.of("admission"):
            queued = [_queued(body, policies, loop.create_future) for body in bodies[at : at + options.requests]]
        with used.of("commit"):
            store.commit(queued, _NOW_US)
            del queued
    with used.of("sealing"):
        dues = store.due(_NOW_US, link_up=True, flush=True)
        while dues:
            _, dues = store.seal_some(dues, _NOW_US, link_up=True, busy=False)
    batches = store.waiting(max_bytes=2**62, max_batches=2**31)
    store.close()
    loop.close()
    assert sum(batch.count for batch in batches) == options.records
    whole = sum(used.by_part.values())
    return [
        *(Figure(f"{part}, CPU per record", cpu_s / len(lines) * 1e6, "µs") for part, cpu_s in used.by_part.items()),
        Figure("all of it, CPU per record", whole / len(lines) * 1e6, "µs"),
        Figure("sealed", sum(batch.size for batch in batches) / len(lines), "B/record"),
        Figure("batches", len(batches)),
    ]


def _opened(path: Path, policies: StreamPolicies) -> Store:
    settings = BufferSettings()
    store = Store.open(
        path, settings=settings, seal=SealSettings(), policies=policies, incarnation=bytes(8), now_us=_NOW_US
    )
    epoch = KeyEpoch(_EPOCH, "edge", _NOW_US, bytes(8), b"sealed", b"signed")
    store.use_epoch(epoch, EpochKey("edge", _EPOCH, bytes(32)))
    return store


def _queued(body: bytes, policies: StreamPolicies, future: Callable[[], asyncio.Future[Appended]]) -> QueuedAppend:
    admitted = admit_ndjson(body, policies.admitting(STREAM), _NOW_US)
    return QueuedAppend(STREAM, admitted, None, future(), size_of(admitted))


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--effort", choices=EFFORTS, default="fast", help="of the stream (default fast)")
    parser.add_argument("--requests", type=int, default=7, help="that share a commit (default 7)")


BENCHMARK = Benchmark(
    name="parts",
    about=__doc__,
    examples=["parts --records 20_000", "parts --effort small --requests 4 --json"],
    measure=measure,
    options=_options,
    has_store=False,
)

if __name__ == "__main__":
    BENCHMARK.main()
