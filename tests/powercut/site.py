"""A site whose agent runs in a virtual machine; its people stand outside, at the forwarded HTTP door."""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from tests.acceptance.commands import path_of
from tests.acceptance.hub import Hub
from tests.acceptance.site import READINGS, Answered, Site
from tests.powercut.guest import HOST_ADDRESS, MIB, make_disk, make_guest
from tests.powercut.machine import Machine

CONTROLS: Final = {
    "normal": "the agent with synchronous=NORMAL, which acknowledges before it flushes",
}

PATIENCE_S: Final = 900.0
"""Without KVM a machine takes a minute to boot where the processor is busy with other things."""

_DOOR: Final = "127.0.0.1:8080"
_DISK_BYTES: Final = 96 * MIB
_MEMORY_MIB: Final = 320
_TIMEOUT_S: Final = 20.0
_ASK_AGAIN_S: Final = 2.0
_PENDING: Final = re.compile(r"^farshore_agent_pending_records\{.*\} (\d+)", re.MULTILINE)
_SETTINGS: Final = f"""\
state_dir = "/data/state"

[streams.{READINGS}]

[seal]
linger = "100 ms"
linger_offline = "500 ms"

[forward]
hub = ["{HOST_ADDRESS}:%d"]
heartbeat = "1 s"
timeout = "10 s"
backoff_min = "50 ms"
backoff_max = "500 ms"

[inputs.api]
type = "http"
listen = "{_DOOR}"
"""


class BoxedSite(Site):
    """A site like any other, once it has joined and `box` has put its state onto the machine's disk."""

    machine: Machine

    def box(self, kernels: Path, chance: random.Random, *, control: str, hub_port: int) -> None:
        """Make the machine.

        Args:
            kernels: where the kernel is kept from run to run.
            chance: decides what survives in the disk's cache.
            control: one of `CONTROLS`, or nothing.
            hub_port: where its agent reaches the hub, or a proxy, on this host.
        """
        content = self.folder / "disk"
        shutil.copytree(self.state, content / "state")
        (content / "agent.toml").write_text(_SETTINGS % hub_port)
        data = make_disk(content, self.folder / "data.img", size=_DISK_BYTES)
        program = [sys.executable, str(Path(__file__).with_name("careless_agent.py"))] if control == "normal" else []
        command = [*(program or [path_of("farshore-agent")]), "--config", "/data/agent.toml", "run"]
        self.machine = self.daemon = Machine(
            make_guest(self.folder / "guest", kernels, command),
            data,
            self.folder,
            listens=_DOOR,
            memory_mib=_MEMORY_MIB,
            chance=chance,
        )

    def start(self) -> None:
        """Switch the machine on, and return when the agent's door is open."""
        self.daemon.start()
        self.until_open(deadline_s=PATIENCE_S)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answered:
        """One request to the door in the machine."""
        # While the machine boots a connection is taken for it and leads nowhere: ask again soon.
        timeout_s = _TIMEOUT_S if body else _ASK_AGAIN_S
        connection = http.client.HTTPConnection("127.0.0.1", self.machine.port, timeout=timeout_s)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answered(answer.status, answer.read(), dict(answer.getheaders()))
        return Answered(0)

    def status(self) -> dict[str, Any]:
        """As much of the status document as the metrics say: the control socket cannot be reached from outside."""
        answered = self.ask("GET", "/metrics")
        pending = sum(map(int, _PENDING.findall(answered.body.decode()))) if answered.status == 200 else -1
        return {"buffer": {"pending": pending}}


def joined(name: str, folder: Path, hub: Hub) -> BoxedSite:
    """A site that has enrolled on this machine and is not boxed yet."""
    site = BoxedSite(name, folder, hub.port)
    site.join(hub)
    return site
