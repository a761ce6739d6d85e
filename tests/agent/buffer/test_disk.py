"""A disk that others fill, or that fails: refused or shed by policy, never stuck, never acknowledged and gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from farshore_agent.buffer import Buffer, sealer
from farshore_agent.errors import BufferBroken, BufferFull
from farshore_protocol.ranges import EMPTY
from tests.agent.buffer.world import EVICT, FakeHub, World, admitted, drain, policies, readings

KIB = 1024


class Disk(apsw.VFS):
    """The machine's file system with so much room and no more, and writes that can be made to fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.max_bytes = 64 * KIB * KIB
        self.is_broken = False
        self.name = f"disk-{folder.name}"
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> DiskFile:  # noqa: N802 - apsw's name
        return DiskFile(self, name, flags)

    def used_bytes(self) -> int:
        return sum(each.stat().st_size for each in self.folder.iterdir() if not each.name.endswith("-shm"))


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        if self._disk.is_broken:
            raise apsw.IOError("the disk is broken")
        growth = max(0, offset + len(data) - self.xFileSize())
        if growth and self._disk.used_bytes() + growth > self._disk.max_bytes:
            raise apsw.FullError("no space left")
        super().xWrite(data, offset)


@pytest.fixture
def disk(world: World) -> Iterator[Disk]:
    disk = Disk(world.path.parent)
    world.vfs = disk.name
    yield disk
    disk.unregister()


def log_lines(start: int) -> list[dict[str, object]]:
    """Lines that are worth a dictionary."""
    return [
        {"line": f"GET /api/v1/items/{n} 200 agent=Mozilla/5.0 (X11; Linux x86_64) ref=https://shop.example/{n % 40}"}
        for n in range(start, start + 40)
    ]


async def test_a_dictionary_that_the_disk_did_not_take_is_stored_before_a_batch_needs_it(
    world: World, hub: FakeHub, disk: Disk
) -> None:
    """Found by the simulation: batches named a dictionary that existed in memory only, and nobody could open them."""
    buffer = await world.open()
    for n in range(8):
        await buffer.append("log", admitted(log_lines(40 * n)))
        if n:
            disk.is_broken = True
            with pytest.raises(BufferBroken):
                await buffer.seal_due(link_up=True, flush=True)
            disk.is_broken = False
        await buffer.seal_due(link_up=True, flush=True)
    await drain(buffer, hub)
    assert hub.dictionaries
    assert hub.stored(buffer.incarnation, "log").to_wire() == [1, 320]
    await buffer.close()


async def test_where_a_dictionary_has_no_room_batches_are_sealed_without_it(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation: a full buffer could not be sealed any more, so it stayed full."""

    def full(*_: object) -> None:
        raise BufferFull("the buffer has no room")

    monkeypatch.setattr(sealer, "store_dictionary", full)
    buffer = await world.open()
    for n in range(8):
        await buffer.append("log", admitted(log_lines(40 * n)))
        await buffer.seal_due(link_up=True, flush=True)
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "log").to_wire() == [1, 320]
    assert not hub.dictionaries
    await buffer.close()


def noisy(world: World) -> list[dict[str, object]]:
    """So large that the log is what runs full.

    SQLite keeps to itself that a checkpoint after a commit found no room; a disk made of Python raises it regardless.
    """
    return [{"ts": 1_795_435_200, "noise": world.random.token(40 * KIB)}]


async def until_full(buffer: Buffer, world: World) -> int:
    """Append until there is no room; how many records were taken."""
    for taken in range(100):
        try:
            await buffer.append("boiler", admitted(noisy(world)))
        except BufferFull:
            return taken
    pytest.fail("the disk never became full")


async def test_a_disk_filled_by_others_refuses_and_goes_on_when_there_is_room(
    world: World, hub: FakeHub, disk: Disk
) -> None:
    buffer = await world.open()
    for _ in range(10):
        await buffer.append("boiler", admitted(noisy(world)))
    disk.max_bytes = disk.used_bytes()
    stored = 10 + await until_full(buffer, world)
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, stored]
    hub.archived[buffer.incarnation, "boiler"] = stored
    disk.max_bytes *= 2
    await buffer.expire()
    assert (await buffer.append("boiler", admitted(noisy(world)))).first == stored + 1
    await buffer.close()


async def test_a_disk_filled_by_others_makes_a_stream_that_may_lose_its_oldest(
    world: World, hub: FakeHub, disk: Disk
) -> None:
    world.policies = policies(boiler=EVICT)
    buffer = await world.open()
    for _ in range(20):
        await buffer.append("boiler", admitted(noisy(world)))
    disk.max_bytes = disk.used_bytes()
    for _ in range(60):
        await buffer.append("boiler", admitted(noisy(world)))
    await drain(buffer, hub)
    receipted = hub.receipted[buffer.incarnation, "boiler"]
    assert receipted
    assert (hub.stored(buffer.incarnation, "boiler") | receipted).to_wire() == [1, 80]
    await buffer.close()


async def test_a_broken_disk_acknowledges_nothing_and_a_healed_one_goes_on(
    world: World, hub: FakeHub, disk: Disk
) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    disk.is_broken = True
    with pytest.raises(BufferBroken):
        await buffer.append("boiler", admitted(readings(10, 10)))
    disk.is_broken = False
    assert (await buffer.append("boiler", admitted(readings(10, 10)))).first == 11
    await drain(buffer, hub)
    assert [hub.records[buffer.incarnation, "boiler", n] for n in range(1, 21)] == readings(0, 20)
    assert hub.receipted.get((buffer.incarnation, "boiler"), EMPTY) == EMPTY
    await buffer.close()


async def test_a_start_on_a_full_disk_uses_the_room_that_was_kept(world: World, hub: FakeHub, disk: Disk) -> None:
    before = await world.open()
    for _ in range(10):
        await before.append("boiler", admitted(noisy(world)))
    await before.close()
    disk.max_bytes = disk.used_bytes()
    buffer = await world.open()
    await drain(buffer, hub)
    assert hub.stored(before.incarnation, "boiler").to_wire() == [1, 10]
    await buffer.close()


async def test_sealing_on_a_full_disk_uses_the_room_that_was_kept(world: World, hub: FakeHub, disk: Disk) -> None:
    buffer = await world.open()
    buffer._store._database.fold()
    await buffer.append("boiler", admitted(readings(0, 10)))
    disk.max_bytes = disk.used_bytes()
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, 10]
    await buffer.close()
