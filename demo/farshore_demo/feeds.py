"""The three ways in which the demo's records come to an agent: HTTP, files in a folder, a log that grows."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import http.client
import io
import itertools
import json
import os
import socket
from pathlib import Path
from typing import Final, Protocol

from farshore_demo.sources import Record

_RETRY_S: Final = 0.2
_TIMEOUT_S: Final = 30


class Feed(Protocol):
    """Hands records to an agent.

    Attributes:
        door: what the door is called, in the table.
        portion: how many records are handed over at once.
        time_field: the agent's setting for the stream, as TOML.
    """

    door: str
    portion: int
    time_field: str

    def settings(self, stream: str) -> str:
        """The agent's `[inputs.…]` table, as TOML."""
        ...

    async def give(self, records: list[Record]) -> None:
        """Hand over; returns when the records are the agent's responsibility."""
        ...


class HttpFeed:
    """Posts NDJSON to the agent's HTTP door on a unix socket."""

    door = "HTTP"
    portion = 100
    time_field = '"ts"'

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "door.sock"
        self._path = ""

    def settings(self, stream: str) -> str:
        """A door on a unix socket."""
        self._path = f"/v1/streams/{stream}"
        return f'type = "http"\nlisten = {json.dumps(f"unix:{self._socket}")}\n'

    async def give(self, records: list[Record]) -> None:
        """One request, repeated until it is answered: the answer comes when the records are on disk."""
        body = "\n".join(json.dumps(record) for record in records).encode()
        while True:
            if await asyncio.to_thread(self._post, body) == http.client.OK:
                return
            await asyncio.sleep(_RETRY_S)

    def _post(self, body: bytes) -> int:
        connection = _UnixConnection(self._socket)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("POST", self._path, body)
            return connection.getresponse().status
        return 0


class FolderFeed:
    """Drops CSV files into a folder; each is written under a hidden name and renamed when it is whole."""

    door = "folder"
    portion = 400
    time_field = '"timestamp"'

    def __init__(self, folder: Path) -> None:
        self._drop = folder / "drop"
        self._drop.mkdir(parents=True)
        self._numbers = itertools.count()

    def settings(self, stream: str) -> str:
        """A watched folder."""
        return f'type = "folder"\npath = {_toml(self._drop)}\npattern = "*.csv"\nstream = "{stream}"\n'

    async def give(self, records: list[Record]) -> None:
        """One more file."""
        name, text = f"{next(self._numbers):04}.csv", io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)
        hidden = self._drop / f".{name}"
        hidden.write_text(text.getvalue())
        hidden.rename(self._drop / name)


class TailFeed:
    """Writes to a log file that the agent follows."""

    door = "tail"
    portion = 150
    time_field = "false"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "access.log"

    def settings(self, stream: str) -> str:
        """A followed file of plain lines."""
        return f'type = "tail"\npath = {_toml(self._log)}\nformat = "text"\nstream = "{stream}"\n'

    async def give(self, records: list[Record]) -> None:
        """More lines at the end."""
        with self._log.open("a") as log:
            log.writelines(f"{record['message']}\n" for record in records)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = os.fspath(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _toml(path: Path) -> str:
    return json.dumps(str(path))
