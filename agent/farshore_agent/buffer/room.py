"""What has to go when the buffer is full, in which order and why. Pure.

Acknowledged batches go first: the hub has them. Then records go that their stream's policy lets go, lowest
priority first and oldest first among them; never those of a higher priority than the ones that need the room.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from farshore_agent.settings import WhenFull
from farshore_protocol.limits import KIB, MIB

MAX_RESERVE_BYTES: Final = 1 * MIB
RESERVE_PART: Final = 16
SLACK_PART: Final = 128
"""Making room is worth a transaction only for this part of the bound."""

CHUNK_OVERHEAD_BYTES: Final = 1 * KIB


def reserve_bytes(max_bytes: int) -> int:
    """Room that records never take, so that a receipt, an acknowledgement and a deletion always fit."""
    return min(MAX_RESERVE_BYTES, max_bytes // RESERVE_PART)


class Kind(enum.Enum):
    """Where a candidate lies."""

    CHUNK = "chunk"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could go; `since_us` is when its first record was appended."""

    kind: Kind
    id: int
    stream_id: int
    stream: str
    priority: int
    first: int
    last: int
    size: int
    since_us: int
    when_full: WhenFull


@dataclass(frozen=True, slots=True)
class Demand:
    """A stream that wants to store something."""

    stream: str
    priority: int
    cost_bytes: int


def choose(candidates: Iterable[Candidate], wanted_bytes: int, *, below: int) -> list[Candidate]:
    """Which of the candidates go, to win about `wanted_bytes` for records of priority `below`."""
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=_order):
        if wanted_bytes <= 0:
            break
        if candidate.when_full is WhenFull.REFUSE or candidate.priority > below:
            continue
        chosen.append(candidate)
        wanted_bytes -= candidate.size + CHUNK_OVERHEAD_BYTES
    return chosen


def _order(candidate: Candidate) -> tuple[int, int, int, int]:
    return candidate.priority, candidate.since_us, candidate.stream_id, candidate.first


def by_urgency(demands: Iterable[Demand]) -> Iterator[Demand]:
    """The order in which demands get the room that there is."""
    yield from sorted(demands, key=lambda demand: (-demand.priority, demand.cost_bytes))
