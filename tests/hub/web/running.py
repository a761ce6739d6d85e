"""A hub that runs in a thread of the test, with real TLS on loopback, and clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from farshore_hub.app import run_hub
from farshore_hub.fleet import api_tokens, sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.enrol import enrol
from farshore_hub.initialise import Stores, initialise
from farshore_hub.opening import OpenedHub, open_hub
from farshore_protocol.enrolment import Membership, read_membership
from farshore_shell.system import SystemClock, SystemRandom
from tests.hub.fleet.site import DAY_S, SiteKeys

TIMEOUT_S = 60
JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The kind of problem that this is; it must be told as one."""
        assert self.headers["content-type"] == PROBLEM, self
        assert self.json["status"] == self.status, self
        assert self.json["title"], self
        return str(self.json["type"]).removeprefix("urn:farshore:problem:")


@dataclass
class Member:
    """A site that has joined."""

    keys: SiteKeys
    membership: Membership
    context: ssl.SSLContext


@dataclass
class RunningHub:
    hub: OpenedHub
    folder: Path
    port: int
    scheme: str
    tokens: dict[Role, str] = field(default_factory=dict)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.hub.keys.ca.pem.decode())

    def connection(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        if self.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=TIMEOUT_S, context=context or self.context())

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str | None = None,
        role: Role | None = None,
        context: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if kind:
            sent["Content-Type"] = kind
        if role:
            sent["Authorization"] = f"Bearer {self.tokens[role]}"
        connection = self.connection(context)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def join(self, name: str, keys: SiteKeys | None = None) -> Member:
        keys = keys or SiteKeys(name)
        token = sites.add(self.hub.fleet, name, DAY_S)
        return self.member(keys, read_membership(enrol(self.hub.fleet, keys.enrolment(token))))

    def member(self, keys: SiteKeys, membership: Membership) -> Member:
        return Member(keys, membership, with_certificate(self.context(), self.folder, keys, membership.certificate))


def with_certificate(context: ssl.SSLContext, folder: Path, keys: SiteKeys, certificate: str) -> ssl.SSLContext:
    path = folder / "client.pem"
    path.write_text(keys.tls_key_pem() + certificate)
    context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def running_hub(
    folder: Path, *, tls: bool = True, extra_settings: str = "", database: str = ""
) -> Iterator[RunningHub]:
    data_dir = folder / "hub"
    admin = initialise(data_dir, ["https://127.0.0.1:8443"], None, Stores(database), SystemClock(), SystemRandom())
    with (data_dir / "hub.toml").open("a") as settings:
        settings.write(extra_settings)
    with open_hub(data_dir) as hub, served(hub, tls=tls) as address:
        parts = urlsplit(address)
        assert parts.port
        running = RunningHub(hub, folder, parts.port, parts.scheme)
        running.tokens[Role.ADMIN] = admin
        for role in (Role.VIEWER, Role.OPERATOR):
            running.tokens[role] = api_tokens.add(hub.fleet, str(role), role)
        yield running


@contextlib.contextmanager
def served(hub: OpenedHub, *, tls: bool) -> Iterator[str]:
    """The hub in a thread of its own; its address."""
    address: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def announce(said: str) -> None:
        address.append(said)
        ready.set()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await run_hub(hub, "127.0.0.1:0", tls=tls, announce=announce, stop=stop)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert ready.wait(TIMEOUT_S), "the hub did not start"
        yield address[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "the hub did not stop"
