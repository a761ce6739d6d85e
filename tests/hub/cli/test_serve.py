"""`farshore-hub serve` as a process of its own: it says when it is ready, ends when told, and survives being killed."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.hub.cli.conftest import Run

TIMEOUT_S = 60
COMMAND = [sys.executable, "-c", "from farshore_hub.cli import main; main()"]


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", str(folder), "serve", "--listen", "127.0.0.1:0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        said = process.stdout.readline()
        assert said.startswith("farshore-hub listens on http"), said
        yield process, int(said.rpartition(":")[2])
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        process.stdout.close()


def is_ready(folder: Path, port: int) -> bool:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def test_it_serves_once_it_says_so_and_ends_with_0_when_told(folder: Path) -> None:
    with serving(folder) as (process, port):
        assert is_ready(folder, port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0


def test_it_starts_again_after_it_was_killed_and_ctrl_c_is_clean(folder: Path) -> None:
    with serving(folder) as (process, port):
        assert is_ready(folder, port)
        process.kill()
    with serving(folder) as (process, port):
        assert is_ready(folder, port)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0


def test_without_tls_it_refuses_to_be_reached_from_elsewhere(run: Run, folder: Path) -> None:
    refused = run("serve", "--no-tls", "--listen", "0.0.0.0:0")
    assert refused.exit_code == 3
    assert "listens on this machine only" in refused.err
    assert "warning: plain HTTP" in refused.err


def test_a_port_that_is_taken_is_told_so(run: Run, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.exit_code == 4
    assert "cannot listen on 127.0.0.1" in ended.err
