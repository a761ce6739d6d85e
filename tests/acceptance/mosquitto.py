"""A real Mosquitto with the settings that `farshore-hub broker prepare` has written, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.commands import Daemon, until


@contextmanager
def running_mosquitto(folder: Path, port: int, back_door: int) -> Iterator[None]:
    """On `port` as the settings say, but for the address; `back_door` is for its operator, who may do anything."""
    found = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "Mosquitto is missing: run `make system-packages`"
    settings = (folder / "mosquitto.conf").read_text()
    assert "listener 8883\n" in settings
    settings = settings.replace("listener 8883\n", f"listener {port} 127.0.0.1\n")
    settings += f"listener {back_door} 127.0.0.1\nallow_anonymous true\n"
    if os.geteuid() == 0:
        settings += "user root\n"
    (folder / "here.conf").write_text(settings)
    daemon = Daemon(found, "-c", folder / "here.conf", log=folder / "mosquitto.log")
    daemon.start()
    try:

        def is_open() -> bool:
            daemon.check()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until("Mosquitto listens", is_open)
        yield
    finally:
        daemon.kill()
