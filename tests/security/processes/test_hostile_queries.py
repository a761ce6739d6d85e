"""Whoever may ask cannot take the hub's memory or time: the installed hub, asked over its port and by its command."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.hub import Hub
from tests.processes import children_of, until

pytestmark = pytest.mark.xdist_group("hostile queries")

HUB_MIB: Final = 512
"""A single bomb used to take 2 to 8 GiB."""

BOMBS: Final = {
    "a list of a billion": ("SELECT len(range(1000000000))", 413),
    "a text of 1.5 GB": ("SELECT length(repeat('x', 1500000000))", 413),
    "eight seconds in one call": (
        "SELECT length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 10000), 'g'))",
        408,
    ),
    "an answer of 1 GB": ("SELECT repeat('x', 10000) FROM range(100000)", 413),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    folder = Path(tempfile.mkdtemp(prefix="fs-"))
    made = Hub(folder)
    with (made.data / "hub.toml").open("a") as settings:
        settings.write('[web]\nquery_timeout = "2 s"\n')
    made.start()
    yield made
    made.kill()
    shutil.rmtree(folder, ignore_errors=True)


def ask(hub: Hub, sql: str) -> tuple[int, bytes]:
    return hub.request("POST", "/v1/query", json.dumps({"sql": sql}).encode(), **{"content-type": "application/json"})


def workers_of(hub: Hub) -> list[int]:
    return [worker for zygote in children_of(hub.daemon.pid) for worker in children_of(zygote)]


def peak_mib(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_query_that_is_a_bomb_is_refused_and_the_hub_serves_on(hub: Hub, bomb: str) -> None:
    sql, status = BOMBS[bomb]
    answered, body = ask(hub, sql)
    assert (answered, json.loads(body)["status"]) == (status, status), body
    assert "remedy" in json.loads(body)
    assert workers_of(hub) == []
    assert peak_mib(hub.daemon.pid) < HUB_MIB
    assert json.loads(ask(hub, "SELECT 42 AS n")[1]) == {"columns": ["n"], "rows": [[42]]}


def test_a_query_whose_asker_goes_away_is_ended(hub: Hub) -> None:
    sql = "SELECT count(*) FROM range(10000000000) a, range(10000000000) b WHERE a.range % 7 = b.range % 5"
    body = json.dumps({"sql": sql}).encode()
    head = (
        f"POST /v1/query HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {hub._token}\r\nContent-Length: {len(body)}\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.port)) as plain:
        tls: ssl.SSLContext = hub._tls
        with tls.wrap_socket(plain, server_hostname="127.0.0.1") as asking:
            asking.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            until("it is being answered", lambda: workers_of(hub))
    until("nobody answers any more", lambda: not workers_of(hub))


def test_the_command_refuses_bombs_with_an_exit_code(hub: Hub) -> None:
    for sql, says in (("SELECT len(range(1000000000))", "memory"), (BOMBS["eight seconds in one call"][0], "2 s")):
        said = hub.run("query", sql)
        assert (said.code, says in said.err) == (5, True), said
        assert "what to do" in said.err


def test_nothing_is_left_when_the_hub_is_killed(hub: Hub) -> None:
    assert ask(hub, "SELECT 1")[0] == 200
    (zygote,) = children_of(hub.daemon.pid)
    hub.kill()
    until("the zygote has ended", lambda: not Path(f"/proc/{zygote}").exists())
