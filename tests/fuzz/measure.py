"""Feeds a decoder with files and prints its peak of memory: `python -m tests.fuzz.measure DECODER FILE…`."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from tests.fuzz.decoders import DECODERS


def main() -> None:
    """One line per file: its name, and the largest resident set of this process so far in KiB."""
    decode = DECODERS[sys.argv[1]]
    for file in map(Path, sys.argv[2:]):
        decode(file.read_bytes())
        print(file.name, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


if __name__ == "__main__":
    main()
