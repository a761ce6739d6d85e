"""The handle on the proxy's process: cut, restore, shape, count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

from tests.benchmarks.rig.proxy import Counts

_ROOT: Final = Path(__file__).resolve().parents[3]


class Link:
    """A link to the hub's port, from `port` on this machine."""

    def __init__(self, hub_port: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.rig.proxy", str(hub_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
        )
        self.port: int = self._answer()["port"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def cut(self) -> None:
        """Break what is connected, and let nobody through."""
        self._tell(do="cut")

    def restore(self) -> None:
        """Let everybody through again."""
        self._tell(do="restore")

    def shape(self, *, round_trip_ms: float, mbit_s: float) -> None:
        """Be as slow as that from now on; 0 is as fast as the machine."""
        self._tell(do="shape", round_trip_ms=round_trip_ms, mbit_s=mbit_s)

    def counts(self) -> Counts:
        """What went over the link until now."""
        return Counts(**self._tell(do="counts"))

    def _tell(self, **command: object) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the proxy has ended with {self._child.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
