"""What processes have used, and how times are told."""

from __future__ import annotations

import os
import re
import statistics
from dataclasses import dataclass
from pathlib import Path


def memory_mib(*pids: int) -> int:
    """Resident memory of these processes."""
    total = 0
    for pid in pids:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        assert found
        total += int(found[1])
    return total // 1024


def cpu_s(pid: int) -> float:
    """CPU time of a process; 0 of one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Spent:
    """CPU time of broker and hub since this was made."""

    broker: int
    hub: int

    def __post_init__(self) -> None:
        self._before = cpu_s(self.broker), cpu_s(self.hub)

    def __str__(self) -> str:
        broker_s, hub_s = cpu_s(self.broker) - self._before[0], cpu_s(self.hub) - self._before[1]
        return f"broker {broker_s:.1f} s, hub {hub_s:.1f} s of CPU"


def percentiles(values: list[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {statistics.median(values):.1f} ms, p99 {cuts[98]:.1f} ms ({len(values)} times)"
