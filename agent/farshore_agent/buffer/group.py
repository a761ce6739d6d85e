"""Group commit: everything that arrives while a commit runs becomes the next one. Pure.

Appends to the same stream become one chunk. An append is never split between two commits, so that a checkpoint is
as far as its records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from farshore_agent.buffer.hours import Runs, runs_of
from farshore_agent.buffer.model import Admitted, Appended, Checkpoint, Refused
from farshore_agent.buffer.shaped import Record
from farshore_agent.settings import StreamPolicies
from farshore_protocol.names import QUARANTINE, base_of, companion_of

MAX_GROUP_APPENDS: Final = 10_000
_APPEND_OVERHEAD_BYTES: Final = 100


@dataclass(slots=True, eq=False)
class QueuedAppend:
    """One call that waits for its commit; `size` is what it counts against the bounds of the queue and of a commit."""

    stream: str
    admitted: Admitted
    checkpoint: Checkpoint | None
    done: asyncio.Future[Appended]
    size: int


@dataclass(slots=True)
class StreamGroup:
    """What one commit adds to one stream; the event times bound all of its records, and `hours` tells each."""

    stream: str
    records: list[Record] = field(default_factory=list)
    oldest_us: int = 2**62
    newest_us: int = -(2**62)
    size: int = 0
    hours: Runs = field(default_factory=list)

    def add(self, records: Sequence[Record], oldest_us: int, newest_us: int, time_field: str | None, size: int) -> None:
        """Append records; all of them together lie between the two times, and have about that size as JSON text."""
        self.records += records
        self.size += size
        self.hours += runs_of(records, oldest_us, newest_us, time_field)
        self.oldest_us = min(self.oldest_us, oldest_us)
        self.newest_us = max(self.newest_us, newest_us)


@dataclass(slots=True)
class Group:
    """The content of one commit. `offsets`: per append, how many records of its stream's group come before its own."""

    streams: dict[str, StreamGroup] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)
    checkpoints: dict[str, bytes] = field(default_factory=dict)


def size_of(admitted: Admitted) -> int:
    """Roughly, what an append takes in memory and in the file."""
    refused = sum(len(each.raw) for each in admitted.refused) if admitted.refused else 0
    return admitted.bytes + refused + _APPEND_OVERHEAD_BYTES


def next_group(queue: Iterable[QueuedAppend], *, max_bytes: int) -> list[QueuedAppend]:
    """The appends from the front of the queue that fit one commit; at least one."""
    taken: list[QueuedAppend] = []
    size = 0
    for queued in islice(queue, MAX_GROUP_APPENDS):
        size += queued.size
        if taken and size > max_bytes:
            break
        taken.append(queued)
    return taken


def merge(appends: Iterable[QueuedAppend], now_us: int, policies: StreamPolicies) -> Group:
    """Join appends into one group; `now_us` is when the refused ones were refused."""
    group = Group()
    for queued in appends:
        admitted, into = queued.admitted, _of(group, queued.stream)
        group.offsets.append(len(into.records))
        if admitted.records:
            times = (admitted.oldest_us, admitted.newest_us, policies.of(queued.stream).time_field)
            into.add(admitted.records, *times, admitted.bytes)
        if admitted.refused:
            quarantine = _of(group, companion_of(base_of(queued.stream), QUARANTINE))
            size = sum(len(each.raw) for each in admitted.refused)
            quarantine.add(list(_quarantined(admitted.refused, now_us)), now_us, now_us, None, size)
        if queued.checkpoint:
            group.checkpoints[queued.checkpoint.key] = queued.checkpoint.value
    return group


def _of(group: Group, stream: str) -> StreamGroup:
    found = group.streams.get(stream)
    if found is None:
        found = group.streams[stream] = StreamGroup(stream)
    return found


def _quarantined(refused: Iterable[Refused], now_us: int) -> Iterator[dict[str, Any]]:
    at = datetime.fromtimestamp(now_us / 1_000_000, UTC).isoformat(timespec="milliseconds")
    for each in refused:
        yield {"line": each.line, "field": each.field, "why": each.why, "raw": each.raw, "at": at}
