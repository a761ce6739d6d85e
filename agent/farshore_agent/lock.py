"""One process per state folder: the buffer has one writer. The system gives the lock back when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from farshore_agent.errors import AgentError, AlreadyRunning

FILE: Final = "agent.lock"


class StateLock:
    """Holds the lock from construction to `release`."""

    def __init__(self, state_dir: Path) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process has it; the text says which.
            AgentError: the folder cannot be used.
        """
        path = state_dir / FILE
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise AgentError(
                f"{state_dir} cannot be used: {error.strerror}",
                remedy="make the folder and give it to the agent's user, or set state_dir",
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(self._handle, 20).strip()
            holder = written.decode() if written.isdigit() else "unknown"
            os.close(self._handle)
            raise AlreadyRunning(
                f"another agent (process {holder}) uses {state_dir}", remedy="stop it first, or use another state_dir"
            ) from None
        os.truncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
