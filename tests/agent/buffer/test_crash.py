"""A crash between any two SQL statements: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farshore_agent.buffer import Buffer, Checkpoint
from farshore_agent.settings import StreamSettings
from tests.agent.buffer.world import THIN, FakeHub, World, admitted, drain, exchange, policies, readings

STRIDE = 13
"""Of all the places to crash at, every thirteenth: all of them take minutes."""


class Crash(BaseException):
    """The process ends here."""


class Fuse:
    """Crashes before the statement number `at`."""

    def __init__(self, at: int) -> None:
        self._left = at

    def trace(self, cursor: object, sql: str, bindings: object) -> bool:
        self._left -= 1
        if self._left < 0:
            raise Crash
        return True

    @property
    def has_blown(self) -> bool:
        return self._left < 0


def revived(world: World, folder: Path) -> World:
    """The same world on a copy of the files as they are on disk, while the first process still has them open."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        source = world.path.with_name(world.path.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return World(
        folder / world.path.name, world.settings, world.seal, world.policies, world.clock, world.random, world.keys
    )


def acknowledgements(world: World, hub: FakeHub, buffer: Buffer) -> Iterator[Any]:
    """A little of everything; yields after each append that was acknowledged."""
    for turn in range(3):
        start = turn * 150
        yield buffer.append("boiler", admitted(readings(start, 150)), Checkpoint("file", b"%d" % (start + 150)))
        yield buffer.append("pump", admitted(readings(start, 5), refused=1))
        yield buffer.seal_due(link_up=True, flush=turn == 1)
        yield exchange(buffer, hub, max_batches=2)
        world.clock.advance(86_400)
        yield buffer.expire()
    hub.records = {key: record for key, record in hub.records.items() if key[2] <= 100}
    yield exchange(buffer, hub)


async def run_until_crash(world: World, hub: FakeHub, fuse: Fuse) -> tuple[bytes, dict[str, int]]:
    """Do a little of everything; the incarnation, and how many records of each stream were acknowledged."""
    buffer = await world.open()
    acknowledged: dict[str, int] = {}
    buffer._store._database.connection.set_exec_trace(fuse.trace)
    try:
        for step in acknowledgements(world, hub, buffer):
            answer = await step
            if hasattr(answer, "last"):
                acknowledged["boiler" if answer.refused == 0 else "pump"] = answer.last
    except (Crash, asyncio.CancelledError):
        pass
    return buffer.incarnation, acknowledged


async def test_a_crash_at_any_statement_loses_and_doubles_nothing(tmp_path: Path) -> None:
    for at in range(0, 10_000, STRIDE):
        folder = tmp_path / str(at)
        folder.mkdir()
        world = World(folder / "buffer.db", policies=policies(pump=StreamSettings(max_age_s=2 * 86_400)))
        hub, fuse = FakeHub(world), Fuse(at)
        incarnation, acknowledged = await run_until_crash(world, hub, fuse)
        after = revived(world, folder / "after")
        hub.world = after
        buffer = await after.open()
        checkpoint = int(await buffer.load_checkpoint("file") or 0)
        manifest = await buffer.manifest(whole=True)
        heads = {claim.stream: claim.head for claim in manifest.claims if claim.incarnation == incarnation}
        assert heads.get("boiler", 0) == checkpoint
        assert acknowledged.get("boiler", 0) <= checkpoint <= acknowledged.get("boiler", 0) + 150
        assert acknowledged.get("pump", 0) <= heads.get("pump", 0) <= acknowledged.get("pump", 0) + 5
        await drain(buffer, hub)
        for (of, stream), receipted in hub.receipted.items():
            assert not receipted or (of == incarnation and stream.startswith("pump"))
        for stream, head in heads.items():
            there = hub.stored(incarnation, stream) | hub.receipted.get((incarnation, stream), hub.stored(b"", ""))
            assert there.to_wire() == [1, head]
        for (_, stream, number), record in hub.records.items():
            if "." not in stream:
                step = 150 if stream == "boiler" else 5
                turn, offset = divmod(number - 1, step)
                assert record == readings(turn * 150 + offset, 1)[0]
        await buffer.close()
        if not fuse.has_blown:
            return
    pytest.fail("the fuse never held")


async def test_a_crash_while_room_is_made_leaves_records_or_a_receipt(tmp_path: Path) -> None:
    for at in range(0, 10_000, STRIDE):
        folder = tmp_path / str(at)
        folder.mkdir()
        world = World(folder / "buffer.db", policies=policies(boiler=THIN))
        world.settings = replace(world.settings, max_bytes=256 * 1024)
        hub, fuse = FakeHub(world), Fuse(at)
        buffer = await world.open()
        buffer._store._database.connection.set_exec_trace(fuse.trace)
        last = 0
        try:
            for n in range(12):
                noise = [{"ts": 1_795_435_200, "n": n, "noise": bytes(range(256)) * 100}]
                noise[0]["noise"] = world.random.token(25_000)
                last = (await buffer.append("boiler", admitted(noise))).last
        except (Crash, asyncio.CancelledError):
            pass
        after = revived(world, folder / "after")
        hub.world = after
        again = await after.open()
        await drain(again, hub)
        there = hub.stored(buffer.incarnation, "boiler")
        key = (buffer.incarnation, "boiler")
        there |= hub.receipted.get(key, there)
        assert there.watermark == there.highest
        assert there.highest in (last, last + 1)
        await again.close()
        if not fuse.has_blown:
            assert hub.receipted[key]
            return
    pytest.fail("the fuse never held")
