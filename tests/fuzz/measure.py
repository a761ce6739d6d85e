"""Feeds a decoder with files and prints its peak of memory: `python -m tests.fuzz.measure DECODER FILE…`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.fuzz.decoders import DECODERS


def main() -> None:
    """One line per file: its name, and the largest resident set of this process so far in KiB."""
    decode = DECODERS[sys.argv[1]]
    for file in map(Path, sys.argv[2:]):
        decode(file.read_bytes())
        print(file.name, _peak_kib(), flush=True)


def _peak_kib() -> int:
    """Of this program alone: what getrusage says starts with the peak of the process that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


if __name__ == "__main__":
    main()
