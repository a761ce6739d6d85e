"""A site for the tests of the whole agent: its settings, its enrolment, and its doors as a producer sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.net.client import Endpoint, HttpClient
from farshore_agent.net.messages import Response
from farshore_agent.settings import AgentSettings, parse
from farshore_shell.system import real_world
from tests.agent.forward.hub_stub import HubStub

QUICK = """
state_dir = "state"
[seal]
linger = "0 s"
linger_offline = "0 s"
[forward]
heartbeat = "1 s"
backoff_min = "10 ms"
backoff_max = "50 ms"
"""


def settings_in(folder: Path, text: str = "") -> AgentSettings:
    return parse(QUICK + text, folder=folder)


async def join(hub: HubStub, settings: AgentSettings) -> None:
    identity = await enrol(parse_token(hub.token()), real_world())
    identity.save(settings.state_dir / "identity")


def records(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [{"ts": 1_795_435_200 + at, "temperature": at / 4} for at in range(start, start + count)]


async def post(settings: AgentSettings, stream: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    """As a producer does it: HTTP on the agent's unix socket."""
    body = "".join(json.dumps(value) + "\n" for value in values).encode()
    answer = await ask(settings, "POST", f"/v1/streams/{stream}", body)
    assert answer.status == 200, answer.body
    told: dict[str, Any] = json.loads(answer.body)
    return told


async def ask(settings: AgentSettings, method: str, path: str, body: bytes = b"") -> Response:
    client = HttpClient(Endpoint(path=settings.state_dir / "agent.sock"))
    try:
        return await client.request(method, path, body=body)
    finally:
        await client.close()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for what has to come; a test that waits for ever is cut off."""
    async with asyncio.timeout(20):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
