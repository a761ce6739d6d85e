"""Damaged files: noticed, kept apart, read as far as possible, and never a wrong record or a crash loop."""

from __future__ import annotations

import shutil
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from farshore_agent.buffer import Buffer
from farshore_agent.buffer.connection import PAGE_BYTES
from farshore_agent.buffer.migrations import IMPLAUSIBLE_VERSION, STEPS
from farshore_agent.buffer.wal import FRAME_HEADER_BYTES, read_frames
from farshore_agent.errors import BufferBroken
from farshore_protocol.messages import Reason
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.agent.buffer.world import MIB, FakeHub, World, admitted, drain, exchange, readings

INNER_PAGE = 5


def flip(path: Path, piece: bytes) -> None:
    """Flip a bit in the middle of a piece of the file."""
    raw = bytearray(path.read_bytes())
    at = raw.find(piece)
    assert at >= 0
    raw[at + len(piece) // 2] ^= 1
    path.write_bytes(raw)


async def test_a_damaged_batch_becomes_a_receipt_and_the_others_are_sent(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 300)))
    await buffer.seal_due(link_up=True, flush=True)
    batches = await buffer.waiting(max_bytes=MIB, max_batches=9)
    raws = [each.raw for each in await buffer.load([batch.id for batch in batches])]
    await buffer.close()
    flip(world.path, raws[1][80:140])
    again = await world.open()
    assert [each.raw for each in await again.load([batch.id for batch in batches])] == [raws[0], raws[2]]
    await exchange(again, hub)
    await drain(again, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, 100, 201, 300]
    assert hub.receipted[buffer.incarnation, "boiler"].to_wire() == [101, 200]
    await again.close()


async def test_a_damaged_chunk_becomes_a_receipt_and_the_others_are_sealed(world: World, hub: FakeHub) -> None:
    buffer = await world.open(sealing=False)
    for start in range(0, 30, 10):
        await buffer.append("boiler", admitted(readings(start, 10)))
    row = buffer._store._database.rows("tail_chunks", 1)[1]
    await buffer.close()
    flip(world.path, row[-1])
    again = await world.open()
    await again.seal_due(link_up=True, flush=True)
    await drain(again, hub)
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [1, 10, 21, 30]
    assert hub.receipted[buffer.incarnation, "boiler"].to_wire() == [11, 20]
    status = await again.status()
    assert status.streams[0].receipted == {Reason.DAMAGED.value: 10}
    await again.close()


async def test_a_file_that_is_no_database_is_set_aside_and_the_agent_goes_on(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    await buffer.close()
    rubbish = b"not a database at all" * 1000
    world.path.write_bytes(rubbish)
    again = await world.open()
    assert (await again.append("boiler", admitted(readings(0, 1)))).first == 1
    [aside] = world.path.parent.glob("buffer.db.damaged-*")
    assert aside.read_bytes() == rubbish
    [repair] = (await again.status()).repairs
    assert aside.name in repair
    await again.close()
    third = await world.open()
    assert (await third.status()).repairs == [repair]
    await third.close()


async def use_a_few_times(buffer: Buffer) -> None:
    for _ in range(10):
        await buffer.waiting(max_bytes=MIB, max_batches=9)
        await buffer.append("boiler", admitted(readings(0, 1)))


async def test_damage_found_while_running_is_repaired_on_the_spot(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    for start in range(0, 1000, 100):
        await buffer.append("boiler", admitted(readings(start, 100)))
    await buffer.seal_due(link_up=True, flush=True)
    before = buffer.incarnation
    database = buffer._store._database
    database.connection.pragma("wal_checkpoint", "TRUNCATE")
    root = int(
        str(database.connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'batches'").fetchall()[0][0])
    )
    with world.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    # Nothing is kept in memory, so that the damage is met.
    database.connection.pragma("cache_size", 0)
    with pytest.raises(BufferBroken):
        await use_a_few_times(buffer)
    assert buffer.incarnation != before
    assert (await buffer.append("boiler", admitted(readings(0, 1)))).first == 1
    await drain(buffer, hub)
    there = hub.stored(before, "boiler") | hub.receipted.get((before, "boiler"), EMPTY)
    assert there.covers(1, 1000)
    await buffer.close()


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail, instead of running for ever."""

    def too_late(_number: int, _frame: object) -> None:
        raise AssertionError("it does not come to an end")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def disorder(path: Path, page: int) -> None:
    """Let an inner page of a table's tree lead to two of its leaves the wrong way round, and spoil what follows."""
    raw = bytearray(path.read_bytes())
    start = (page - 1) * PAGE_BYTES
    assert raw[start] == INNER_PAGE
    cells = [slice(start + at, start + at + 4) for at in struct.unpack_from(">7H", raw, start + 12)]
    raw[cells[0]], raw[cells[5]] = raw[cells[5]], raw[cells[0]]
    for spoilt in (cells[3], cells[6]):
        raw[(int.from_bytes(raw[spoilt], "big") - 1) * PAGE_BYTES] = 0xFF
    path.write_bytes(raw)


async def test_rows_in_the_wrong_order_do_not_keep_the_repair_from_ending(world: World, hub: FakeHub) -> None:
    buffer = await world.open(sealing=False)
    for n in range(40):
        await buffer.append("boiler", admitted([{"n": n, "noise": world.random.token(900)}]))
    [[root]] = buffer._store._database.connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'chunks'"
    ).fetchall()
    await buffer.close()
    disorder(world.path, int(str(root)))
    with within(60):
        again = await world.open()
        await drain(again, hub)
    there = hub.stored(buffer.incarnation, "boiler") | hub.receipted.get((buffer.incarnation, "boiler"), EMPTY)
    assert there.covers(1, 40)
    assert hub.receipted[buffer.incarnation, "boiler"]
    await again.close()


_USER_VERSION = slice(60, 64)
"""Where the file says which version of the schema it has: https://www.sqlite.org/fileformat2.html#the_database_header"""


async def made_file(world: World) -> Buffer:
    """A file with a bit of everything."""
    buffer = await world.open()
    for start in range(0, 400, 50):
        await buffer.append("boiler", admitted(readings(start, 50)))
        await buffer.append("pump", admitted(readings(start, 5)))
        if start == 200:
            await buffer.seal_due(link_up=True, flush=True)
    await buffer.close()
    return buffer


@settings(max_examples=20, deadline=None)
@given(data=st.data())
async def test_no_damage_makes_a_wrong_record_or_stops_the_agent(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = World(tmp_path_factory.mktemp("damage") / "buffer.db")
    hub = FakeHub(world)
    before = await made_file(world)
    raw = bytearray(world.path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        rubbish = data.draw(st.binary(min_size=1, max_size=5000))
        raw[at : at + len(rubbish)] = rubbish[: len(raw) - at]
    # What then looks as if a newer agent had made it is left to that agent, as it has to be.
    assume(int.from_bytes(raw[_USER_VERSION], "big", signed=True) not in range(len(STEPS) + 1, IMPLAUSIBLE_VERSION))
    world.path.write_bytes(raw)
    buffer = await world.open()
    for _ in range(3):
        try:
            await buffer.append("new", admitted(readings(0, 5)))
            await drain(buffer, hub)
            break
        except BufferBroken:
            continue
    else:
        pytest.fail("the buffer did not recover")
    for (incarnation, stream, sequence), record in hub.records.items():
        if incarnation == before.incarnation:
            step = {"boiler": 50, "pump": 5}[stream]
            turn, offset = divmod(sequence - 1, step)
            assert record == readings(turn * 50 + offset, 1)[0]
    assert hub.stored(buffer.incarnation, "new").watermark >= 5
    await buffer.close()


async def with_log(world: World, folder: Path) -> tuple[World, Buffer, int]:
    """A world whose file has ten commits in its log only, and after which of its frames they began."""
    buffer = await world.open(sealing=False)
    log = world.path.with_name("buffer.db-wal")
    began = len(list(read_frames(log.read_bytes())))
    for start in range(0, 100, 10):
        await buffer.append("boiler", admitted(readings(start, 10)))
    for name in ("buffer.db", "buffer.db-wal"):
        shutil.copy(world.path.with_name(name), folder / name)
    await buffer.close()
    return World(folder / "buffer.db", random=world.random, clock=world.clock), buffer, began


async def drained(world: World, incarnation: bytes) -> tuple[RangeSet, RangeSet, list[str]]:
    """What of a life reaches the hub: records, receipts; and the repairs that were noted."""
    hub = FakeHub(world)
    buffer = await world.open()
    await drain(buffer, hub)
    repairs = (await buffer.status()).repairs
    await buffer.close()
    receipted = hub.receipted.get((incarnation, "boiler"), EMPTY)
    return hub.stored(incarnation, "boiler"), receipted, repairs


async def test_a_rotten_byte_in_the_log_costs_one_chunk_and_not_all_later_commits(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy, buffer, _ = await with_log(world, tmp_path / "copy")
    log = copy.path.with_name("buffer.db-wal")
    raw = bytearray(log.read_bytes())
    sixth_last = [frame for frame in read_frames(bytes(raw)) if frame.is_commit][-6]
    raw[sixth_last.offset + FRAME_HEADER_BYTES + 4090] ^= 1
    log.write_bytes(raw)
    stored, receipted, repairs = await drained(copy, buffer.incarnation)
    assert (stored | receipted).to_wire() == [1, 100]
    assert "rotted" in repairs[0]
    assert log.with_name("buffer.db-wal.damaged").exists()


async def test_a_torn_tail_of_the_log_is_no_damage(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy, buffer, _ = await with_log(world, tmp_path / "copy")
    log = copy.path.with_name("buffer.db-wal")
    raw = bytearray(log.read_bytes())
    last = list(read_frames(bytes(raw)))[-1]
    # A page is larger than a sector; its last one did not reach the disk.
    end = last.offset + FRAME_HEADER_BYTES + PAGE_BYTES
    raw[end - 512 : end] = bytes(512)
    log.write_bytes(raw)
    stored, receipted, repairs = await drained(copy, buffer.incarnation)
    assert (stored.to_wire(), receipted, repairs) == ([1, 90], EMPTY, [])


async def test_an_intact_log_is_left_as_it_is(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy, buffer, _ = await with_log(world, tmp_path / "copy")
    stored, receipted, repairs = await drained(copy, buffer.incarnation)
    assert (stored.to_wire(), receipted, repairs) == ([1, 100], EMPTY, [])


@given(st.binary(max_size=3000))
def test_rubbish_is_no_log(raw: bytes) -> None:
    assert list(read_frames(raw)) == []
