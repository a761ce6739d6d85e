"""The installed commands, as a user starts them: once to their end, or as a daemon that can be killed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEADLINE_S: Final = 120.0
"""Nothing here takes so long on an idle machine; a busy one is no failure."""

_POLL_S: Final = 0.05
_LOG_LINES: Final = 25
_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
"""Replaces itself by the command; a test run that is killed leaves no daemon behind."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.out)


def path_of(name: str) -> str:
    """Where the installed command is; any other program is named by its whole path."""
    return name if Path(name).is_absolute() else str(Path(sys.executable).with_name(name))


def run(name: str, *arguments: object, given: bytes = b"", cwd: Path | None = None) -> Said:
    """Run a command to its end."""
    line = [path_of(name), *map(str, arguments)]
    ended = subprocess.run(line, input=given, capture_output=True, timeout=DEADLINE_S, check=False, cwd=cwd)
    return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def succeed(name: str, *arguments: object, given: bytes = b"") -> Said:
    """Run a command that has to end well."""
    said = run(name, *arguments, given=given)
    assert said.code == 0, f"{name} {' '.join(map(str, arguments))} ended with {said.code}: {said.err}{said.out}"
    return said


def until(what: str, look: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + deadline_s
    while not look():
        assert time.monotonic() < deadline, f"waited {deadline_s:.0f} s in vain: {what}"
        time.sleep(_POLL_S)


class Daemon:
    """A command that runs until it is stopped or killed; its output goes to a log file.

    `inside` is what a command line begins with to run somewhere else, such as another network namespace.
    """

    def __init__(self, name: str, *arguments: object, log: Path, inside: Sequence[str] = ()) -> None:
        self._line = [*inside, *_DIES_WITH_US, path_of(name), *map(str, arguments)]
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        assert not self.runs, f"{self._log.stem} runs already"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def runs(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Of the command itself."""
        assert self._child is not None, f"{self._log.stem} was not started"
        return self._child.pid

    def kill(self) -> None:
        """SIGKILL: not one more instruction is run."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def send(self, number: signal.Signals) -> None:
        """A signal such as SIGSTOP."""
        assert self._child is not None
        self._child.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; returns how it ended."""
        if self._child is None:
            return 0
        self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(DEADLINE_S)
        finally:
            self.kill()

    def said(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return ""

    def check(self) -> None:
        """Fail with its last words if it has ended by itself."""
        assert self.runs, f"{self._log.stem} has ended by itself:\n{self.said()}"
