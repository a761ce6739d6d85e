"""The services as a service manager starts them: ready when they can be used, alive from their own loop, stopping."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.commands import DEADLINE_S, path_of, succeed
from tests.acceptance.unix import UnixConnection

BEAT_US = 300_000


@contextlib.contextmanager
def started(folder: Path, *command: object) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """The command and what it tells its manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(DEADLINE_S)
        told = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(BEAT_US)}
        program, *arguments = map(str, command)
        with (folder / "log").open("wb") as log:
            line = ["setpriv", "--pdeathsig", "KILL", path_of(program), *arguments]
            child = subprocess.Popen(line, stdout=log, stderr=log, env=os.environ | told)
        try:
            yield child, manager
        finally:
            child.kill()
            child.wait()


def heard_until(word: str, manager: socket.socket) -> list[str]:
    """Everything that was told, up to and including a message with that word."""
    messages: list[str] = []
    while not messages or word not in messages[-1]:
        messages.append(manager.recv(4096).decode())
    return messages


def assert_well_told(child: subprocess.Popen[bytes], manager: socket.socket) -> None:
    """From READY on: signs of life, and STOPPING at the end."""
    assert all("READY" not in each for each in heard_until("WATCHDOG=1", manager)[:-1])
    child.send_signal(signal.SIGTERM)
    assert "READY=1" not in "".join(heard_until("STOPPING=1", manager))
    assert child.wait(DEADLINE_S) == 0


def test_an_agent_is_ready_when_its_doors_are_open(folder: Path) -> None:
    door = folder / "door.sock"
    (folder / "agent.toml").write_text(f'state_dir = "state"\n[inputs.api]\ntype = "http"\nlisten = "unix:{door}"\n')
    with started(folder, "farshore-agent", "--config", folder / "agent.toml", "run") as (child, manager):
        before = heard_until("READY=1", manager)
        assert before[0].startswith("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=")
        assert "STATUS=link: none" in before[-1]
        with contextlib.closing(UnixConnection(door, DEADLINE_S)) as asking:
            asking.request("GET", "/healthz")
            assert asking.getresponse().status == 200
        assert_well_told(child, manager)


def test_a_hub_is_ready_when_its_port_is_open(folder: Path) -> None:
    succeed("farshore-hub", "--data-dir", folder / "hub", "init", "--address", "https://127.0.0.1:8443")
    serve = ("farshore-hub", "--data-dir", folder / "hub", "serve", "--listen", "127.0.0.1:0")
    with started(folder, *serve) as (child, manager):
        ready = heard_until("READY=1", manager)[-1]
        port = int(ready.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
        assert_well_told(child, manager)
