"""One site of the demo: an enrolled agent behind its own proxy, fed from one real series."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

from farshore_demo.feeds import Feed
from farshore_demo.processes import Daemon, output_of
from farshore_demo.proxy import Proxy
from farshore_demo.sources import Source, portions

_SETTINGS: Final = """\
state_dir = {state}

[forward]
hub = ["127.0.0.1:{port}"]
heartbeat = "2 s"
backoff_max = "2 s"

[seal]
linger = "1 s"
linger_offline = "3 s"

[streams.{stream}]
time_field = {time_field}

[inputs.{door}]
{input}
"""


class Site:
    """A site with its agent, its proxy and its source.

    Attributes:
        given: how many records of the source the agent was given so far.
        note: what is being done to the site just now, for the table.
    """

    def __init__(self, source: Source, feed: Feed, folder: Path, proxy: Proxy) -> None:
        self.source = source
        self.feed = feed
        self.proxy = proxy
        self.given = 0
        self.note = ""
        self._settings = folder / "agent.toml"
        self._state = folder / "state"
        self.agent = Daemon("farshore-agent", "--config", self._settings, "run", log=folder / "agent.log")

    async def enrol(self, token: str) -> None:
        """Write the agent's settings and make it a member."""
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(
            _SETTINGS.format(
                state=json.dumps(str(self._state)),
                port=self.proxy.port,
                stream=self.source.stream,
                time_field=self.feed.time_field,
                door=self.feed.door.lower(),
                input=self.feed.settings(self.source.stream),
            )
        )
        await output_of("farshore-agent", "--config", self._settings, "enrol", token)

    async def replay(self, seconds: float) -> None:
        """Hand the source to the agent within about `seconds`."""
        pieces = list(portions(self.source.records, self.feed.portion))
        for piece in pieces:
            await self.feed.give(piece)
            self.given += len(piece)
            await asyncio.sleep(seconds / len(pieces))
