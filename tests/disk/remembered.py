"""The checksum of the write-ahead log, computed once for the same bytes: many states share most of their frames.

It is a pure function, and most of the time that it takes to look at a state.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from farshore_agent.buffer import flipped, wal
from farshore_agent.buffer.wal_checksum import checksum

_FRAMES: Final = 4096
_remembering: Final = functools.lru_cache(_FRAMES)(checksum)


@contextmanager
def checksums_remembered() -> Iterator[None]:
    """While the body runs."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (wal, flipped):
            patch.setattr(module, "checksum", _remembering)
        yield
