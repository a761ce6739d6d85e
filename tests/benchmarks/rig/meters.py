"""What a process has used, read from /proc: it costs the process nothing and cannot be wrong by its own doing."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_KIB: Final = 1024
_CALM_S: Final = 1.2
"""The agent's sealer looks once a second."""

_CALM_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Used:
    """Since the start of the process; CPU counts user and system time of all threads and of children that ended."""

    cpu_s: float
    written_bytes: int

    def __sub__(self, before: Used) -> Used:
        return Used(self.cpu_s - before.cpu_s, self.written_bytes - before.written_bytes)


class Meter:
    """Reads the meters of processes and all that descend from them, added up."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots

    @property
    def _pids(self) -> list[int]:
        return [pid for root in self._roots for pid in _tree(root)]

    def used(self) -> Used:
        """CPU and bytes written to disk so far."""
        return Used(sum(map(_cpu_s, self._pids)), sum(map(_written_bytes, self._pids)))

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return sum(_status_bytes(pid, "VmRSS") for pid in self._pids)

    def peak_rss_bytes(self) -> int:
        """The most resident memory since the start, or since `forget_peak`."""
        return sum(_status_bytes(pid, "VmHWM") for pid in self._pids)

    def forget_peak(self) -> None:
        """Let the peak begin anew from what is resident now."""
        for pid in self._pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def until_calm(self, deadline_s: float = 600) -> None:
        """Return when the processes have done next to nothing for a while.

        Raises:
            TimeoutError: they never rest.
        """
        end = time.monotonic() + deadline_s
        before = self.used().cpu_s
        while time.monotonic() < end:
            time.sleep(_CALM_S)
            now = self.used().cpu_s
            if now - before <= _CALM_S * _CALM_SHARE:
                return
            before = now
        raise TimeoutError(f"processes {self._roots} were still busy after {deadline_s:.0f} s")


def machine() -> dict[str, Any]:
    """Where a figure was measured, and how busy it was there."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": models[0] if models else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_S


def _written_bytes(pid: int) -> int:
    found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _status_bytes(pid: int, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * _KIB if found else 0
