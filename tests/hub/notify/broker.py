"""A real Mosquitto of the test's own, on loopback, that is gone when the test is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

TIMEOUT_S = 30
USER, PASSWORD = "farshore", "a password for the broker"


@dataclass
class RunningBroker:
    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def running_broker(folder: Path, *, certificate: Path | None = None) -> Iterator[RunningBroker]:
    """One user may write below `farshore/`, and nothing else."""
    found = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "Mosquitto is missing: run `make system-packages`"
    port = _free_port()
    subprocess.run(
        [shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-b", "-c", str(folder / "passwords"), USER, PASSWORD],
        check=True,
    )
    (folder / "rights").write_text(f"user {USER}\ntopic readwrite farshore/#\n")
    settings = [f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {folder}/passwords"]
    settings += [f"acl_file {folder}/rights", "persistence false", "log_dest stderr"]
    if certificate:
        settings += [f"certfile {certificate}", f"keyfile {certificate}"]
    if os.geteuid() == 0:
        settings.append("user root")
    (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", found, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log
        )
    try:
        _wait_for(port, process, folder / "mosquitto.log")
        yield RunningBroker(port, process)
    finally:
        process.kill()
        process.wait()


class Subscriber:
    """Listens to everything below a topic."""

    def __init__(self, port: int, topic: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._topic = topic
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, said: self.heard.append((said.topic, bytes(said.payload)))
        self._port = port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_for(self, count: int) -> list[tuple[str, bytes]]:
        deadline = time.monotonic() + TIMEOUT_S
        while len(self.heard) < count:
            assert time.monotonic() < deadline, f"heard {self.heard}"
            time.sleep(0.01)
        return self.heard

    def _subscribe(self, client: Client, *_: object) -> None:
        client.subscribe(self._topic, qos=1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
