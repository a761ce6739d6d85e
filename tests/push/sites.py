"""Many sites in one process, each with the agent's own way to the broker.

Usage: `python -m tests.push.sites FOLDER PLACE FROM TO`.

They open the orders that come and answer them, as an agent does, and do nothing else. Every half second a line of JSON
says how many are connected, how many connections were made so far, and when which order came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import zstandard

from farshore_agent.identity.identity import Identity, SiteKeys
from farshore_agent.orders import Orders, push
from farshore_agent.orders.party import Party
from farshore_agent.orders.push import Push
from farshore_agent.orders.reporting import digest
from farshore_agent.settings import ForwardSettings
from farshore_protocol.enrolment import HubKey, Membership
from farshore_protocol.orders import (
    CommandReport,
    Introduction,
    Outcome,
    Report,
    SettingsReport,
    open_order,
    pack_report,
)
from farshore_shell.system import World, allow_many_files, real_world

SAY_EVERY_S = 0.5
LOOK_EVERY_S = 600.0
SCHEMA = zstandard.compress(b'{"type": "object", "properties": {"seal": {"type": "object"}}}')
STARTING = 100
"""Sites that connect for the first time at one time: the start is not what is measured."""


class SimulatedOrders:
    """What `Push` has to do with; takes settings and answers commands at once."""

    def __init__(self, identity: Identity, place: str, came: Callable[[str, int], None]) -> None:
        self.broker = place
        self._party = Party.of(identity)
        self._came = came
        self._bells: list[Callable[[], None]] = []
        self._number = time.time_ns() // 1000
        self._raw = b""
        self._settings: SettingsReport | None = None
        self._opened: set[int] = set()

    def listen(self, ring: Callable[[], None]) -> None:
        self._bells.append(ring)

    def report(self) -> bytes | None:
        if not self._raw:
            self._speak(None)
        return self._raw

    def take(self, raw: bytes) -> None:
        self._came(self._party.site, time.time_ns() // 1000)
        party = self._party
        order = open_order(raw, hub=party.hub, site=party.site, key=party.key, signers=party.signers)
        if order.number not in self._opened:
            self._opened.add(order.number)
            if order.desired is None:
                self._speak(CommandReport(order.number, done=True))
            else:
                self._settings = SettingsReport(order.number, order.number, Outcome.KEPT)
                self._speak(None)

    def _speak(self, answer: CommandReport | None) -> None:
        party, self._number = self._party, self._number + 1
        own = Introduction(HubKey(party.key.id, party.key.public_bytes()), SCHEMA, ["seal"])
        report = Report(party.hub, party.site, self._number, 1, "1.0", digest(SCHEMA), self._settings, answer, own)
        self._raw = pack_report(report, party.signer, party.hub_key)
        for ring in self._bells:
            ring()


class Fleet:
    """The sites of this process."""

    def __init__(self, folder: Path, place: str) -> None:
        self._place = place
        self._membership = msgspec.msgpack.decode((folder / "membership").read_bytes(), type=Membership)
        self._keys = SiteKeys((folder / "key.pem").read_text(), bytes(range(32)))
        self._certificates = json.loads((folder / "certificates").read_text())
        self._world: World = real_world()
        self._came: list[tuple[str, int]] = []
        self._starting = asyncio.Semaphore(STARTING)
        self.pushes: list[Push] = []

    async def run(self, first: int, last: int) -> None:
        """Be these sites until the standard input ends."""
        names = sorted(self._certificates)[first:last]
        with tempfile.TemporaryDirectory() as temporary:
            running = [asyncio.create_task(self._site(name, Path(temporary))) for name in names]
            saying = asyncio.create_task(self._say())
            await asyncio.to_thread(sys.stdin.read)
            for task in (saying, *running):
                task.cancel()

    async def _site(self, name: str, folder: Path) -> None:
        identity = Identity(self._keys, self._of(name), 1 << 60)
        orders = SimulatedOrders(identity, self._place, lambda site, at: self._came.append((site, at)))
        settings = ForwardSettings(heartbeat_s=600)
        own = folder / name
        own.mkdir()
        mine = Push(cast("Orders", orders), lambda: identity, own, lambda: settings, self._world)
        self.pushes.append(mine)
        async with self._starting:
            running = asyncio.create_task(mine.run())
            while mine.report.state != "up":  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(0.05)
        await running

    def _of(self, name: str) -> Membership:
        return msgspec.structs.replace(self._membership, site=name, certificate=self._certificates[name])

    async def _say(self) -> None:
        while True:
            came, self._came = self._came, []
            up = sum(each.report.state == "up" for each in self.pushes)
            made = sum(each.report.connections for each in self.pushes)
            print(json.dumps({"at_us": time.time_ns() // 1000, "up": up, "made": made, "came": came}), flush=True)
            await asyncio.sleep(SAY_EVERY_S)


if __name__ == "__main__":
    allow_many_files()
    # A report rings: ten thousand sites that look every two seconds whether all is well are another measurement.
    push._LOOK_EVERY_S = LOOK_EVERY_S  # type: ignore[misc]
    run = partial(Fleet(Path(sys.argv[1]), sys.argv[2]).run, int(sys.argv[3]), int(sys.argv[4]))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
