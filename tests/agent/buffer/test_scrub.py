"""The scrub and the doctor's reading: the same damage, found by both, counted the same; one repairs, one only looks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apsw
import pytest

from farshore_agent.buffer import Buffer
from farshore_agent.buffer.inspect import Flaw, read_all
from farshore_agent.buffer.scrub import IDLE_S
from tests.agent.buffer.damaged import PAGE, RECEIPTED_BEFORE, Made, assert_accounted_for, make, overwrite, root_of


@pytest.fixture
async def made(tmp_path: Path) -> Made:
    return await make(tmp_path)


def look(path: Path, *, is_live: bool = False) -> list[Flaw]:
    return [flaw for _, flaws in read_all(path, is_live=is_live) for flaw in flaws]


def spoil(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


async def damaged(buffer: Buffer) -> Counter[tuple[bytes, str]]:
    """How many records have receipts because of damage."""
    streams = (await buffer.status()).streams
    return Counter({(each.incarnation, each.name): each.receipted.get("damaged", 0) for each in streams})


ONE_CHUNK = "UPDATE chunks SET body = x'00' WHERE id = (SELECT max(id) FROM chunks)"
ONE_BATCH = "UPDATE bodies SET raw = x'00' WHERE batch = (SELECT min(id) FROM batches WHERE state = 0)"


@pytest.mark.parametrize("is_live", [False, True])
async def test_a_sound_store_has_no_flaws_and_looking_leaves_nothing_behind(made: Made, *, is_live: bool) -> None:
    buffer = await made.world.open() if is_live else None
    before = sorted(made.world.path.parent.iterdir())
    assert look(made.world.path, is_live=is_live) == []
    assert sorted(made.world.path.parent.iterdir()) == before
    if buffer:
        await buffer.close()


@pytest.mark.parametrize(("kind", "sql"), [("chunks", ONE_CHUNK), ("batches", ONE_BATCH)])
async def test_what_the_doctor_calls_lost_is_what_the_scrub_gives_receipts_for(made: Made, kind: str, sql: str) -> None:
    spoil(made.world.path, sql)
    [flaw] = look(made.world.path)
    assert flaw.kind == kind
    assert flaw.lost.count > 0
    buffer = await made.world.open()
    before = await damaged(buffer)
    assert len(await buffer.scrub_all()) == 1
    after = await damaged(buffer)
    assert after - before == {(flaw.incarnation, flaw.stream): flaw.lost.count}
    assert await buffer.scrub_all() == []
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE + flaw.lost.count
    await buffer.close()


async def test_a_scrub_in_turns_reads_everything_once_and_then_waits(made: Made) -> None:
    buffer = await made.world.open()
    spoil(made.world.path, ONE_CHUNK)
    pauses = [await buffer.scrub()]
    while pauses[-1] != IDLE_S:
        pauses.append(await buffer.scrub())
    status = await buffer.status()
    assert status.scrubbed_us is not None
    assert sum(stream.receipted.get("damaged", 0) for stream in status.streams) > RECEIPTED_BEFORE
    spoil(made.world.path, ONE_BATCH)
    assert await buffer.scrub() == IDLE_S
    made.world.clock.advance(8 * 86_400)
    while await buffer.scrub() != IDLE_S:
        pass
    assert (await buffer.status()).scrubbed_us != status.scrubbed_us
    await assert_accounted_for(made, buffer)
    await buffer.close()


async def test_a_damaged_tree_is_seen_at_rest_and_repaired_by_the_scrub(made: Made) -> None:
    page = root_of(made.world.path, "batch_ranges")
    copy = made.copy_to(made.world.path.parent / "copy")
    overwrite(copy.world.path, page, bytes(PAGE))
    assert {flaw.kind for flaw in look(copy.world.path)} == {"file"}
    buffer = await copy.world.open()
    assert "set aside" in (await buffer.status()).repairs[0]
    assert await assert_accounted_for(copy, buffer) == RECEIPTED_BEFORE
    await buffer.close()
