"""Folders on a disk that is never waited for, where there is one: what is durable is decided by the model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")


@contextmanager
def scratch(inside: Path | None = None) -> Iterator[Path]:
    """An empty folder that is gone in the end."""
    parent = inside or (MEMORY if MEMORY.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="farshore-disk-", dir=parent) as place:
        yield Path(place)
