"""A site as its people have it: an agent with a settings file, and programs that hand records to its doors.

What the agent has acknowledged is written down here; `settled` holds it against what the hub has in the end.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import shutil
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.acceptance.commands import DEADLINE_S, Daemon, Said, run, succeed, until
from tests.acceptance.hub import Hub
from tests.acceptance.records import Record, Supply, as_csv, canonical, ndjson
from tests.acceptance.unix import UnixConnection

READINGS: Final = "readings"
TEMPERATURES: Final = "temperatures"
REQUESTS: Final = "requests"

_TIMEOUT_S: Final = 60
_SETTINGS: Final = """\
state_dir = {state}

[streams.{readings}]
{policy}

[streams.{temperatures}]
time_field = "timestamp"

[streams.{requests}]
time_field = false

[buffer]
{buffer}

[seal]
linger = "100 ms"
linger_offline = "500 ms"

[forward]
hub = ["{host}:{port}"]
{forward}

[inputs.api]
type = "http"
listen = "unix:{door}"

[inputs.drop]
type = "folder"
path = {drop}
pattern = "*.csv"
stream = "{temperatures}"
poll = "50 ms"

[inputs.log]
type = "tail"
path = {log}
stream = "{requests}"
poll = "50 ms"
"""

_QUICK: Final = """\
heartbeat = "1 s"
timeout = "5 s"
backoff_min = "50 ms"
backoff_max = "500 ms"
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How a site reaches its hub.

    Attributes:
        host: of the hub, as the site sees it.
        inside: what its agent's command line begins with.
        forward: the rest of its `[forward]`.
    """

    host: str = "127.0.0.1"
    inside: Sequence[str] = ()
    forward: str = _QUICK


NEAR: Final = Way()


@dataclass(frozen=True, slots=True)
class Answered:
    """What the agent's door has answered; status 0 is no answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.body)


class Site:
    """One agent.

    Attributes:
        acknowledged: by stream, what the agent has taken responsibility for.
        maybe: by stream, what was sent without an answer; it may be stored, once.
        refused: by stream, how many records the doors have refused.
    """

    def __init__(
        self, name: str, folder: Path, port: int, *, policy: str = "", buffer: str = "", way: Way = NEAR
    ) -> None:
        self.name = name
        self.way = way
        self.folder = folder
        self.state = folder / "state"
        self.settings = folder / "agent.toml"
        self.door = folder / "door.sock"
        self.drop = folder / "drop"
        self.log = folder / "access.log"
        self.supply = Supply(name)
        self.acknowledged: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.maybe: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.refused: Counter[str] = Counter()
        self.drop.mkdir(parents=True)
        self._noting = threading.Lock()
        self._files = 0
        self._chance = random.Random(name)
        self.write_settings(port, policy=policy, buffer=buffer)
        self.daemon = Daemon(
            "farshore-agent", "--config", self.settings, "run", log=folder / "agent.log", inside=way.inside
        )

    def write_settings(self, port: int, *, policy: str = "", buffer: str = "") -> None:
        paths = {"state": self.state, "drop": self.drop, "log": self.log}
        streams = {"readings": READINGS, "temperatures": TEMPERATURES, "requests": REQUESTS}
        quoted = {key: json.dumps(str(path)) for key, path in paths.items()}
        way = {"host": self.way.host, "port": port, "forward": self.way.forward}
        text = _SETTINGS.format(policy=policy, buffer=buffer, door=self.door, **way, **quoted, **streams)
        self.settings.write_text(text)

    # ---------------------------------------------------------- the process

    def join(self, hub: Hub) -> None:
        """Make it a site of the hub."""
        self.do("enrol", hub.add_site(self.name))

    def start(self) -> None:
        """Start it, and return when its doors are open."""
        self.daemon.start()
        self.until_open()

    def until_open(self, *, deadline_s: float = DEADLINE_S) -> None:
        def is_open() -> bool:
            self.daemon.check()
            return self.ask("GET", "/healthz").status == 200

        until(f"the door of {self.name} is open", is_open, deadline_s=deadline_s)

    def kill(self) -> None:
        self.daemon.kill()

    def stop(self) -> None:
        assert self.daemon.stop() == 0, self.daemon.said()

    def run(self, *arguments: object, given: bytes = b"") -> Said:
        """A command of this site, however it ends."""
        return run("farshore-agent", "--config", self.settings, *arguments, given=given)

    def do(self, *arguments: object, given: bytes = b"") -> Said:
        """A command of this site that has to end well."""
        return succeed("farshore-agent", "--config", self.settings, *arguments, given=given)

    def export(self, path: Path) -> list[Path]:
        """Write what waits as parcel files."""
        return [Path(each["file"]) for each in self.do("export", path, "--json").json]

    def back_up(self, to: Path) -> None:
        """Copy its state folder; it must not run."""
        assert not self.daemon.runs
        shutil.copytree(self.state, to, ignore=_no_sockets)

    def restore(self, backup: Path) -> None:
        """Put a copy in the place of its state folder; it must not run."""
        assert not self.daemon.runs
        shutil.rmtree(self.state)
        shutil.copytree(backup, self.state)

    def noise(self, count: int) -> str:
        """Text that nothing makes smaller."""
        return self._chance.randbytes(count).hex()

    # ------------------------------------------------------------ the doors

    def post(self, records: list[Record], stream: str = READINGS) -> Answered:
        """Hand records to the HTTP door, and write down what it answers."""
        answered = self.ask("POST", f"/v1/streams/{stream}", ndjson(records))
        contents = Counter(map(canonical, records))
        # Several producers may share the door.
        with self._noting:
            if answered.status == 200:
                self.acknowledged[stream] += contents
            elif answered.status == 0:
                self.maybe[stream] += contents
        return answered

    def must_post(self, count: int, stream: str = READINGS) -> None:
        answered = self.post(self.supply.readings(count), stream)
        assert answered.status == 200, (answered, self.daemon.said())

    def append(self, records: list[Record], stream: str = READINGS) -> Said:
        """Hand records to the command, and write down what has become of them."""
        said = self.run("append", stream, "--json", given=ndjson(records))
        told = json.loads(said.out)
        taken = len(records) if told["next_line"] is None else told["next_line"] - 1
        self.acknowledged[stream].update(map(canonical, records[:taken]))
        self.maybe[stream].update(map(canonical, records[taken : taken + told["in_doubt"]]))
        return said

    def drop_file(self, count: int) -> None:
        """Put a CSV file into the folder; from then on it is the agent's."""
        records = self.supply.temperatures(count)
        self._files += 1
        hidden = self.drop / f".{self._files:04}.csv"
        hidden.write_text(as_csv(records))
        hidden.rename(self.drop / hidden.name[1:])
        self.acknowledged[TEMPERATURES] += Counter(map(canonical, records))

    def log_lines(self, count: int) -> None:
        """Let the log file grow; from then on the lines are the agent's."""
        lines = self.supply.lines(count)
        with self.log.open("a") as log:
            log.writelines(f"{line}\n" for line in lines)
        self.acknowledged[REQUESTS] += Counter(canonical({"message": line}) for line in lines)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answered:
        """One request to the HTTP door."""
        return _over(self.door, method, path, body, headers or {})

    def status(self) -> dict[str, Any]:
        """What the running agent says of itself; the same document as `status --json`."""
        answered = _over(self.state / "agent.sock", "GET", "/v1/control/status", b"", {})
        assert answered.status == 200, (answered, self.daemon.said())
        found: dict[str, Any] = answered.json
        return found


def _over(path: Path, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answered:
    connection = UnixConnection(path, _TIMEOUT_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return Answered(answer.status, answer.read(), dict(answer.getheaders()))
    return Answered(0)


def _no_sockets(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if (Path(folder) / name).is_socket()}
