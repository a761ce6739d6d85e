"""The installed commands as child processes: started, killed, stopped, and what they said when one fails."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

_STOP_TIMEOUT_S: Final = 10


class DemoFailed(Exception):
    """The demo could not go on. The text says what happened."""


def command(name: str) -> str:
    """Where an installed command of this distribution is.

    Raises:
        DemoFailed: it is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoFailed(f"the command {name} is not installed: pip install 'farshore[hub]'")
    return found


async def output_of(name: str, *arguments: str | Path) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        DemoFailed: with what it said, if it failed.
    """
    child = await asyncio.create_subprocess_exec(
        command(name),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, said = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        raise
    if child.returncode:
        line = " ".join(map(str, (name, *arguments)))
        raise DemoFailed(f"{line} ended with {child.returncode}:\n{said.decode()}{printed.decode()}")
    return printed.decode()


class Daemon:
    """A command that runs until it is stopped; its output goes to a log file."""

    def __init__(self, name: str, *arguments: str | Path, log: Path) -> None:
        self._line = [command(name), *map(str, arguments)]
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._line, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def kill(self) -> None:
        """SIGKILL: no chance to write anything more."""
        if self._child:
            self._child.kill()
            await self._child.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        if self._child is None or self._child.returncode is not None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            await self.kill()

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            DemoFailed: it has ended by itself; with the end of its log.
        """
        if self._child and self._child.returncode is not None:
            raise DemoFailed(f"{self._line[0]} ended with {self._child.returncode}:\n{self._tail()}")

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        return ""
