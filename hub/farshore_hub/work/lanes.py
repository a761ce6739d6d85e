"""Threads for one kind of long work, so that no kind holds up another."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from farshore_hub.work.bounded import BoundedRunner
from farshore_hub.work.threads import threads
from farshore_protocol.ports import Runner

LANE_THREADS: Final = 2
MAX_LANE_CALLS: Final = 16


@dataclass(frozen=True, slots=True)
class Lane:
    """Where work of one kind is done.

    Attributes:
        begin: runs it; raises Busy when as many run or wait as may.
        go_on: the same for what has begun, however many others want to begin.
    """

    begin: Runner
    go_on: Runner


def lane(stack: ExitStack, name: str) -> Lane:
    """A lane with threads of its own, which end with the stack."""
    run = threads(stack, name, LANE_THREADS)
    return Lane(BoundedRunner(run, MAX_LANE_CALLS), run)
