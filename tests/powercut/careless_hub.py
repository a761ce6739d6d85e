"""The control: the hub's command with `synchronous=NORMAL`, which answers for what is not on the disk yet."""

from __future__ import annotations

from farshore_hub.cli.root import main
from farshore_hub.store import engine

CAREFUL = "synchronous=FULL"
CARELESS = "synchronous=NORMAL"

if __name__ == "__main__":
    if CAREFUL not in engine._SQLITE_PRAGMAS:
        raise SystemExit(f"the hub does not set {CAREFUL} any more: the control would control nothing")
    engine._SQLITE_PRAGMAS = tuple(CARELESS if each == CAREFUL else each for each in engine._SQLITE_PRAGMAS)  # type: ignore[misc, assignment]
    main()
