"""What happens in the demo, and when: three sites, a cut link, a killed agent, and everything arrives once.

Everything is real: the installed commands as processes, TLS, files and sockets; the link is cut in a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from farshore_demo import sources
from farshore_demo.check import Finding, compare
from farshore_demo.feeds import Feed, FolderFeed, HttpFeed, TailFeed
from farshore_demo.hub_view import HubView, StreamView
from farshore_demo.processes import Daemon, DemoFailed, output_of
from farshore_demo.proxy import Proxy
from farshore_demo.sites import Site
from farshore_demo.sources import Source

_READY_TIMEOUT_S: Final = 20
_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """When things happen, in seconds after the sites are up."""

    replay_s: float = 16
    cut_s: float = 3
    kill_s: float = 6
    restart_s: float = 9
    restore_s: float = 13
    drain_timeout_s: float = 25


@dataclass
class World:
    """All that the demo runs, and what the table shows of it."""

    folder: Path
    port: int
    hub: Daemon
    view: HubView
    sites: list[Site]
    streams: dict[tuple[str, str], StreamView] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Tell the reader what happens."""
        self.said.append(line)

    def seen(self, site: Site) -> StreamView:
        """What the hub says of a site's stream."""
        return self.streams.get((site.source.site, site.source.stream), StreamView(0, 0, 0))

    @property
    def complete(self) -> bool:
        """Whether the hub has everything that the sources have."""
        return all(self.seen(site).stored >= len(site.source.records) for site in self.sites)


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """A hub and three enrolled sites, running; all of it is stopped at the end."""
    async with contextlib.AsyncExitStack() as stack:
        port = _free_port()
        data = folder / "hub"
        address = f"https://127.0.0.1:{port}"
        made = json.loads(await output_of("farshore-hub", "--data-dir", data, "init", "--address", address, "--json"))
        hub = Daemon("farshore-hub", "--data-dir", data, "serve", log=folder / "hub.log")
        stack.push_async_callback(hub.stop)
        await hub.start()
        view = HubView(port, Path(made["ca"]), made["token"])
        await _until_ready(hub, view)
        sites = [
            Site(source, feed(folder / source.site), folder / source.site, await stack.enter_async_context(Proxy(port)))
            for source, feed in _cast()
        ]
        for site in sites:
            stack.push_async_callback(site.agent.stop)
        await asyncio.gather(*(_join(data, site) for site in sites))
        yield World(folder, port, hub, view, sites)


async def play(world: World, pace: Pace) -> None:
    """Let it all happen, and wait until the hub has everything.

    Raises:
        DemoFailed: a process ended by itself, or the backlog was not drained in time.
    """
    airport, factory, _ = world.sites
    try:
        async with asyncio.TaskGroup() as tasks:
            for site in world.sites:
                tasks.create_task(site.replay(pace.replay_s))
            tasks.create_task(_cut_and_restore(world, airport, pace))
            tasks.create_task(_kill_and_restart(world, factory, pace))
            watch = tasks.create_task(_watch(world))
            await _until_complete(world, pace.replay_s + pace.drain_timeout_s)
            watch.cancel()
    except* DemoFailed as failed:
        raise failed.exceptions[0] from None


async def verify(world: World) -> list[Finding]:
    """Compare what the hub stored with the sources, by content."""
    return await asyncio.gather(*(_compared(world, site.source) for site in world.sites))


async def _compared(world: World, source: Source) -> Finding:
    exported = await output_of("farshore-hub", "--data-dir", world.folder / "hub", "export", source.stream)
    return compare(source, exported)


def _cast() -> list[tuple[Source, Callable[[Path], Feed]]]:
    return [
        (sources.air_quality(), HttpFeed),
        (sources.machine_temperature(), FolderFeed),
        (sources.access_log(), TailFeed),
    ]


async def _join(data: Path, site: Site) -> None:
    token = await output_of("farshore-hub", "--data-dir", data, "site", "add", site.source.site)
    await site.enrol(token.strip())
    await site.agent.start()


async def _cut_and_restore(world: World, site: Site, pace: Pace) -> None:
    await asyncio.sleep(pace.cut_s)
    site.proxy.cut_link()
    site.note = "link cut"
    world.say(f"The link of {site.source.site} is cut. Its agent goes on collecting.")
    await asyncio.sleep(pace.restore_s - pace.cut_s)
    site.proxy.restore_link()
    site.note = "link restored"
    world.say(f"The link of {site.source.site} is back. The backlog drains.")


async def _kill_and_restart(world: World, site: Site, pace: Pace) -> None:
    await asyncio.sleep(pace.kill_s)
    await site.agent.kill()
    site.note = "agent killed"
    world.say(f"The agent of {site.source.site} is killed with SIGKILL, in the middle of its files.")
    await asyncio.sleep(pace.restart_s - pace.kill_s)
    await site.agent.start()
    site.note = "agent restarted"
    world.say(f"The agent of {site.source.site} is started again; it goes on at its checkpoint.")


async def _watch(world: World) -> None:
    while True:
        world.streams = await asyncio.to_thread(world.view.completeness) or world.streams
        world.hub.check()
        await asyncio.sleep(_POLL_S)


async def _until_complete(world: World, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not world.complete:
        if time.monotonic() > deadline:
            raise DemoFailed("the hub did not get everything in time")
        await asyncio.sleep(_POLL_S)


async def _until_ready(hub: Daemon, view: HubView) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not await asyncio.to_thread(view.ready):
        hub.check()
        if time.monotonic() > deadline:
            raise DemoFailed("the hub did not start in time")
        await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
