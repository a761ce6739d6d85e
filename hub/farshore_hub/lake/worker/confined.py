"""What a worker may take of the machine."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

_DATA_PAGES: Final = 5
"""Which number of /proc/self/statm is what RLIMIT_DATA bounds."""


def confine(more_bytes: int, threads: int) -> None:
    """Let this process take so much memory beside what it has, and no core file; the system ends it before others.

    RLIMIT_DATA rather than RLIMIT_AS: what is only reserved, and libraries in memory, do not count.
    """
    have = int(Path("/proc/self/statm").read_text().split()[_DATA_PAGES]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (have + more_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pa.set_cpu_count(threads)
    pa.set_io_thread_count(threads)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
