"""Looks at processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_TIMEOUT_S = 60


def children_of(parent: int) -> list[int]:
    """The processes that it has forked and that still run."""
    pids = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return [pid for pid in pids if _parent_of(pid) == parent]


def _parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return int(parent) if state != "Z" else None


def until(what: str, holds: Callable[[], object]) -> None:
    """Wait for something to be so; the test fails if it does not come."""
    end_s = time.monotonic() + _TIMEOUT_S
    while not holds():
        assert time.monotonic() < end_s, f"not so after {_TIMEOUT_S} s: {what}"
        time.sleep(0.02)
