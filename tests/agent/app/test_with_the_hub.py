"""The agent and the hub that ships with it: the installed commands of both, over TLS and by file."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farshore_agent import Agent
from farshore_agent.forward.link import LinkRefused
from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.settings import AgentSettings
from farshore_shell.system import real_world
from tests.agent.app.site import records, settings_in, until

HUB = Path(sys.executable).with_name("farshore-hub")


class Hub:
    """A hub in a folder, by its commands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._server: asyncio.subprocess.Process | None = None

    async def ask(self, *arguments: str) -> str:
        process = await self._start(*arguments)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def serve(self) -> None:
        self._server = await self._start("serve")
        assert self._server.stdout is not None
        async with asyncio.timeout(60):
            await self._server.stdout.readline()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            await self._server.communicate()

    async def stored(self, stream: str) -> int:
        rows = json.loads(await self.ask("completeness", "--json"))["streams"]
        return sum(row["stored"] for row in rows if row["stream"] == stream)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            HUB, "--data-dir", self._folder, *arguments, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    hub = Hub(tmp_path / "hub")
    await hub.ask("init", "--address", f"https://{hub.address}", "--listen", hub.address)
    await hub.serve()
    try:
        yield hub
    finally:
        await hub.stop()


async def joined(hub: Hub, folder: Path) -> AgentSettings:
    settings = settings_in(folder)
    token = parse_token((await hub.ask("site", "add", "ship-1")).split()[-1])
    (await enrol(token, real_world())).save(settings.state_dir / "identity")
    with pytest.raises(LinkRefused, match="used"):
        await enrol(token, real_world())
    return settings


async def test_records_reach_the_hub_by_link_and_by_file_and_a_revoked_site_is_shut_out(
    hub: Hub, tmp_path: Path
) -> None:
    settings = await joined(hub, tmp_path)
    async with Agent.started(settings, forward=True) as agent:
        await agent.append("boiler", records(500))
        async with asyncio.timeout(60):
            await agent.flush()
    async with Agent.started(settings, forward=False) as agent:
        await agent.append("boiler", records(100, start=500))
        (batches,) = await agent.plan_export(2**30)
        (tmp_path / "stick").write_bytes(await agent.export(batches))
        await hub.ask("import", str(tmp_path / "stick"))
        settled = await agent.import_answer((tmp_path / "stick.ack").read_bytes())
        assert settled.acknowledged_records == 100
    assert await hub.stored("boiler") == 600
    await hub.ask("site", "revoke", "ship-1")
    async with Agent.started(settings, forward=True) as agent:
        await until(lambda: "revoked" in agent.delivery.report.last_error)
