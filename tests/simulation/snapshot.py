"""A machine that was resumed from a snapshot of its memory goes on in the life that it was in.

A Python process cannot be copied, so its double is started anew, draws the same random numbers as the original drew,
and finds the life that it would begin begun already. Only that one step has to be taught to go on instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from farshore_agent.buffer import store, streams
from farshore_agent.buffer.connection import Database


def _begin_or_go_on(database: Database, incarnation: bytes, now_us: int) -> int:
    newest = database.row("newest_life")
    if newest is not None and newest[1] == incarnation:
        return int(newest[0])
    return streams.begin_life(database, incarnation, now_us)


@contextmanager
def resumable() -> Iterator[None]:
    """While the block runs, agents go on in the life whose name they draw."""
    with patch.object(store, "begin_life", _begin_or_go_on):
        yield
