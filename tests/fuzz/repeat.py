"""Runs one input: `python -m tests.fuzz.repeat TARGET FILE`. A finding ends with its traceback."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.all_targets import find


def main() -> None:
    """Run it."""
    name, file = sys.argv[1:]
    find(name).run(Path(file).read_bytes())
    print(f"{name}: {file} holds")


if __name__ == "__main__":
    main()
