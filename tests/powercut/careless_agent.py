"""The control: the agent's command with `synchronous=NORMAL`, which acknowledges what is not on the disk yet."""

from __future__ import annotations

from farshore_agent.buffer import connection
from farshore_agent.cli import main

CAREFUL = ("synchronous", "FULL")
CARELESS = ("synchronous", "NORMAL")

if __name__ == "__main__":
    if CAREFUL not in connection._PRAGMAS:
        raise SystemExit(f"the buffer does not set {CAREFUL} any more: the control would control nothing")
    connection._PRAGMAS = tuple(CARELESS if pragma == CAREFUL else pragma for pragma in connection._PRAGMAS)  # type: ignore[misc, assignment]
    main()
