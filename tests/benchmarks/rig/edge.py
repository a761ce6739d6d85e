"""The agent of a benchmark: the installed command with a settings file, as a site has it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from farshore_agent.settings import EffortChoice
from tests.acceptance.commands import Daemon, succeed
from tests.acceptance.hub import Hub
from tests.acceptance.unix import UnixConnection
from tests.benchmarks.rig.meters import Meter

STREAM: Final = "pumps"
EFFORTS: Final = tuple(choice.value for choice in EffortChoice)
_DEADLINE_S: Final = 120.0
_LOOK_S: Final = 0.005
_TIMEOUT_S: Final = 600
_SETTINGS: Final = """\
state_dir = "{state}"

[stream_defaults]
effort = "{effort}"
{streams}

[forward]
hub = ["127.0.0.1:{port}"]
backoff_min = "50 ms"
backoff_max = "200 ms"
{forward}

[seal]
{seal}

[buffer]
{buffer}

[inputs.api]
type = "http"
listen = "unix:{door}"
"""


class Edge:
    """One agent. `streams` are lines for all streams, the last three of those tables of its settings."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        name: str = "edge",
        effort: str = "auto",
        streams: str = "",
        seal: str = "",
        forward: str = "",
        buffer: str = "",
    ) -> None:
        self.name = name
        self.state = folder / name / "state"
        self.settings = folder / name / "agent.toml"
        self.door = folder / name / "door.sock"
        self.settings.parent.mkdir()
        text = _SETTINGS.format(
            state=self.state,
            door=self.door,
            port=port,
            effort=effort,
            streams=streams,
            seal=seal,
            forward=forward,
            buffer=buffer,
        )
        self.settings.write_text(text)
        self.daemon = Daemon("farshore-agent", "--config", self.settings, "run", log=folder / name / "agent.log")

    @property
    def meter(self) -> Meter:
        """The agent's."""
        return Meter(self.daemon.pid)

    def join(self, hub: Hub) -> None:
        """Make it a site of the hub."""
        succeed("farshore-agent", "--config", self.settings, "enrol", hub.add_site(self.name))

    def start(self) -> float:
        """Start it; how many seconds later its door answers."""
        began_s = time.monotonic()
        self.daemon.start()
        self._until("the agent's door opens", self._is_open)
        return time.monotonic() - began_s

    def flush(self) -> None:
        """Let everything be sealed and delivered; returns when it is."""
        self._ask("POST", "/v1/control/flush", json.dumps({"timeout_s": _TIMEOUT_S}).encode())

    def status(self) -> dict[str, Any]:
        """What the agent says of itself."""
        found: dict[str, Any] = json.loads(self._ask("GET", "/v1/control/status"))
        return found

    def until_linked(self) -> None:
        """Return when it has spoken with the hub."""
        self._until("the agent reaches the hub", lambda: bool(self.status()["link"]["up"]))

    def until_empty(self) -> None:
        """Return when the hub has acknowledged all that it has."""
        self._until("the agent has delivered everything", lambda: self.status()["buffer"]["pending"] == 0)

    def disk_bytes(self) -> int:
        """What its buffer takes on disk, write-ahead log included."""
        return sum(path.stat().st_blocks * 512 for path in self.state.glob("buffer.db*"))

    def _until(self, what: str, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not look():
            self.daemon.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {_DEADLINE_S:.0f} s in vain: {what}\n{self.daemon.said()}")
            time.sleep(_LOOK_S)

    def _is_open(self) -> bool:
        try:
            return bool(_over(self.door, "GET", "/healthz", b""))
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        return _over(self.state / "agent.sock", method, path, body)


def _over(path: Path, method: str, target: str, body: bytes) -> bytes:
    connection = UnixConnection(path, _TIMEOUT_S)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{method} {target}: {answer.status} {said[:2000]!r}")
        return said
    finally:
        connection.close()
