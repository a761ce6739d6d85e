"""A store with a bit of everything, made by real appends; damage to it; and what is there of it in the end."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import apsw

from farshore_agent.buffer import Buffer, LoadedBatch
from farshore_agent.errors import BufferBroken
from farshore_protocol.batch import digest_of, parse_batch
from farshore_protocol.messages import Refusal, Refused
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.agent.buffer.world import FakeHub, World, admitted, exchange, readings

PAGE: Final = 4096
MAX_ROUNDS: Final = 50
RECEIPTED_BEFORE: Final = 30
"""Records of the batch that is unreadable in every store that `make` makes."""


@dataclass
class Made:
    """What was acknowledged to producers, by incarnation and stream; and the hub as it was then."""

    world: World
    hub: FakeHub
    records: dict[tuple[bytes, str], list[dict[str, Any]]] = field(default_factory=dict)

    def copy_to(self, folder: Path) -> Made:
        """The same store once more, to be damaged in another way."""
        folder.mkdir()
        shutil.copy(self.world.path, folder)
        world = replace(self.world, path=folder / self.world.path.name, keys=dict(self.world.keys))
        hub = FakeHub(world)
        hub.records, hub.receipted = dict(self.hub.records), dict(self.hub.receipted)
        hub.streams, hub.epochs = set(self.hub.streams), set(self.hub.epochs)
        return Made(world, hub, self.records)

    async def append(self, buffer: Buffer, stream: str, start: int, count: int) -> None:
        records = readings(start, count)
        appended = await buffer.append(stream, admitted(records))
        mine = self.records.setdefault((appended.incarnation, stream), [])
        assert appended.first == len(mine) + 1
        mine += records


async def make(folder: Path) -> Made:
    """Two lives; batches that the hub has, batches that wait, chunks, and an open receipt."""
    world = World(folder / "buffer.db")
    made = Made(world, FakeHub(world))
    for life in range(2):
        buffer = await world.open()
        for start in range(0, 300, 50):
            await made.append(buffer, "boiler", start + 1000 * life, 50)
            await made.append(buffer, "pump", start, 5)
        await buffer.seal_due(link_up=True, flush=True)
        if life == 0:
            await exchange(buffer, made.hub, max_batches=2)
            _lose_a_batch(buffer)
            await buffer.load([batch.id for batch in await buffer.waiting(max_bytes=1 << 20, max_batches=99)])
        for start in range(300, 400, 10):
            await made.append(buffer, "boiler", start + 1000 * life, 10)
        await buffer.close()
    return made


def _lose_a_batch(buffer: Buffer) -> None:
    """Make a batch unreadable, so that there is a receipt."""
    buffer._store._database.connection.execute(
        "UPDATE bodies SET raw = x'00' WHERE batch = (SELECT max(id) FROM batches WHERE state = 0)"
    )


def overwrite(path: Path, page: int, content: bytes = b"\xff" * PAGE) -> None:
    """Damage one page; they are numbered from 1."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)


def root_of(path: Path, name: str) -> int:
    """Where the tree of a table or index begins."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    [(page,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchall()
    connection.close()
    assert isinstance(page, int)
    return page


async def started(world: World) -> Buffer:
    """Start again on the same file; what is met later is repaired on the spot."""
    buffer = await world.open()
    for _ in range(5):
        with suppress(BufferBroken):
            await buffer.append("new", admitted(readings(0, 1)))
            await buffer.seal_due(link_up=True, flush=True)
            return buffer
    raise AssertionError("the buffer did not recover")


async def bring_to(hub: FakeHub, buffer: Buffer) -> None:
    """Deliver everything; the hub refuses what it has no key or dictionary for, as a real one does."""
    await buffer.seal_due(link_up=True, flush=True)
    for _ in range(MAX_ROUNDS):
        batches = await buffer.waiting(max_bytes=1 << 20, max_batches=100)
        if not batches:
            break
        epochs, dictionaries = await buffer.attachments(batches)
        hub.epochs.update(epoch.id for epoch in epochs)
        loaded: list[LoadedBatch] = []
        with suppress(BufferBroken):
            loaded = await buffer.load([batch.id for batch in batches])
        refusals = [refusal for raw in [*dictionaries, *(each.raw for each in loaded)] if (refusal := _taken(hub, raw))]
        await _answered(hub, buffer, refusals, [each.id for each in loaded])
    else:
        raise AssertionError("something is sent again and again")
    await _answered(hub, buffer, [], [])


def _taken(hub: FakeHub, raw: bytes) -> Refusal | None:
    header = parse_batch(raw).header
    if header.epoch not in hub.epochs:
        return Refusal(digest_of(raw), Refused.UNKNOWN_EPOCH, "", header.epoch)
    if header.dictionary and header.dictionary not in hub.dictionaries:
        return Refusal(digest_of(raw), Refused.UNKNOWN_DICTIONARY, "", header.dictionary)
    hub.take(raw)
    return None


async def _answered(hub: FakeHub, buffer: Buffer, refusals: list[Refusal], batches: list[int]) -> None:
    manifest = await buffer.manifest(whole=True, batches=batches)
    hub.note(manifest)
    await buffer.settle(hub.answer(buffer.incarnation, manifest, refusals=refusals))


async def assert_accounted_for(made: Made, buffer: Buffer) -> int:
    """Bring everything to the hub: every acknowledged record is there as it was, or has a receipt; how many have."""
    await bring_to(made.hub, buffer)
    lost = 0
    for (incarnation, stream), records in made.records.items():
        stored = made.hub.stored(incarnation, stream)
        receipted = made.hub.receipted.get((incarnation, stream), EMPTY) - stored
        assert (stored | receipted) == RangeSet(((1, len(records)),)), (stream, stored, receipted)
        for sequence, record in enumerate(records, 1):
            if sequence in stored:
                assert made.hub.records[incarnation, stream, sequence] == record
        lost += receipted.count
    return lost
