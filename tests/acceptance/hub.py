"""A hub as its operator has it: made by `init`, run by `serve`, asked by commands and over its API."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from tests.acceptance.commands import Daemon, Said, run, succeed, until
from tests.acceptance.records import canonical

_SETTINGS: Final = '\n[lake]\nwithin = "2 s"\n'
"""Who waits for the lake waits seconds, not a minute."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the hub has answered; names of headers in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


class Hub:
    """One hub in one folder, on a port of its own; on SQLite unless there is the URL of a database.

    Attributes:
        timeout_s: of a request to it.
    """

    timeout_s = 60

    def __init__(self, folder: Path, *, database: str = "") -> None:
        self.data = folder / "hub"
        self.port = free_port()
        where = ("--address", self.address, *(("--database", database) if database else ()))
        made = succeed("farshore-hub", "--data-dir", self.data, "init", *where, "--json").json
        with (self.data / "hub.toml").open("a") as settings:
            settings.write(_SETTINGS)
        self._token: str = made["token"]
        self._tls = ssl.create_default_context(cafile=made["ca"])
        self.daemon = Daemon("farshore-hub", "--data-dir", self.data, "serve", log=folder / "hub.log")

    def trust_anew(self) -> None:
        """Trust the authorities that it has now, as whoever takes its `ca.pem` anew."""
        self._tls = ssl.create_default_context(cafile=self.data / "ca.pem")

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The admin's."""
        return self._token

    def start(self) -> None:
        """Start it, and return when it takes parcels."""
        self.daemon.start()
        self.until_ready()

    def until_ready(self) -> None:
        def ready() -> bool:
            self.daemon.check()
            return self._is_ready()

        until("the hub is ready", ready)

    def kill(self) -> None:
        self.daemon.kill()

    def stop(self) -> None:
        assert self.daemon.stop() == 0, self.daemon.said()

    def run(self, *arguments: object) -> Said:
        """A command of this hub, however it ends."""
        return run("farshore-hub", "--data-dir", self.data, *arguments)

    def do(self, *arguments: object) -> Said:
        """A command of this hub that has to end well."""
        return succeed("farshore-hub", "--data-dir", self.data, *arguments)

    def add_site(self, name: str) -> str:
        """The join token; over the API, because it is quicker than the command."""
        body = json.dumps({"name": name}).encode()
        status, said = self.request("POST", "/v1/sites", body, **{"content-type": "application/json"})
        assert status == 201, said
        return str(json.loads(said)["token"])

    def take(self, *parcels: Path) -> list[Path]:
        """Import parcel files; the answers' files."""
        self.do("import", *parcels)
        return [path.with_name(path.name + ".ack") for path in parcels]

    def completeness(self, site: str) -> dict[str, dict[str, Any]]:
        """By stream, over the API. Empty before the hub has heard of the site."""
        status, body = self.request("GET", f"/v1/completeness?site={site}")
        assert status in {200, 404}, body
        return {line["stream"]: line for line in json.loads(body)["streams"]} if status == 200 else {}

    def stored(self, site: str, stream: str) -> Counter[str]:
        """Every stored record by its content, over the API."""
        status, body = self.request("GET", f"/v1/streams/{stream}/records?site={site}")
        assert status in {200, 404}, body
        return Counter(canonical(json.loads(line)) for line in body.splitlines()) if status == 200 else Counter()

    def in_lake(self, stream: str) -> Counter[str]:
        """The ids in the stream's Delta table, read as any other tool reads it, without the hub."""
        try:
            table = DeltaTable(self.data / "lake" / stream)
        except TableNotFoundError:
            return Counter()
        # Between its creation and its first rows a table has no columns but the hub's own.
        rows = table.to_pyarrow_dataset()
        return Counter(rows.to_table(columns=["id"])["id"].to_pylist()) if "id" in rows.schema.names else Counter()

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request with the admin's token."""
        answered = self.ask(method, path, body, **headers)
        return answered.status, answered.body

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answered:
        """The same, with the headers of the answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout_s, context=self._tls)
        try:
            connection.request(method, path, body, {"authorization": f"Bearer {self._token}", **headers})
            answer = connection.getresponse()
            return Answered(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        finally:
            connection.close()

    def back_up(self, to: Path) -> None:
        """Copy its folder; it must not run."""
        assert not self.daemon.runs
        shutil.copytree(self.data, to)

    def restore(self, backup: Path) -> None:
        """Put a copy in the place of its folder; it must not run."""
        assert not self.daemon.runs
        shutil.rmtree(self.data)
        shutil.copytree(backup, self.data)

    def _is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
