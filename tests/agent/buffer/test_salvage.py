"""Every kind of damage, on a store made by real appends: acknowledged = recovered + receipted, exactly."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from farshore_agent.buffer import Buffer
from farshore_agent.errors import BufferBroken
from tests.agent.buffer.damaged import (
    PAGE,
    RECEIPTED_BEFORE,
    Made,
    assert_accounted_for,
    bring_to,
    make,
    overwrite,
    root_of,
    started,
)

TREES = ("lives", "streams", "chunks", "batches", "bodies", "receipts", "epochs", "epoch_copies", "notes", "by_digest")


@pytest.fixture
async def made(tmp_path: Path) -> Made:
    return await make(tmp_path)


async def test_an_undamaged_store_is_left_as_it_is(made: Made) -> None:
    buffer = await started(made.world)
    assert (await buffer.status()).repairs == []
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()


@pytest.mark.parametrize("content", [bytes(PAGE), b"\xff" * PAGE, random.Random(5).randbytes(PAGE)])
async def test_a_damaged_first_page_costs_no_record(made: Made, content: bytes) -> None:
    overwrite(made.world.path, 1, content)
    buffer = await started(made.world)
    [repair] = (await buffer.status()).repairs
    assert "set aside" in repair
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()


async def test_one_flipped_bit_in_the_file_s_header_costs_no_record(made: Made) -> None:
    raw = made.world.path.read_bytes()
    for at in (0, 16, 18, 20, 40, 44, 56, 60, 100, 103):
        made.world.path.write_bytes(raw[:at] + bytes((raw[at] ^ 4,)) + raw[at + 1 :])
        buffer = await started(made.world)
        assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE, at
        await buffer.close()
        for left in made.world.path.parent.glob("buffer.db-*"):
            left.unlink()


@pytest.mark.parametrize("tree", TREES)
async def test_a_damaged_root_is_found_and_everything_accounted_for(made: Made, tree: str) -> None:
    overwrite(made.world.path, root_of(made.world.path, tree))
    buffer = await started(made.world)
    assert "set aside" in (await buffer.status()).repairs[0]
    lost = await assert_accounted_for(made, buffer) - RECEIPTED_BEFORE
    assert lost == 0 or tree in ("chunks", "bodies"), lost
    await buffer.close()


async def test_the_loss_of_any_page_is_accounted_for_record_by_record(made: Made, tmp_path: Path) -> None:
    lost = []
    for page in range(1, made.world.path.stat().st_size // PAGE + 1):
        copy = made.copy_to(tmp_path / str(page))
        overwrite(copy.world.path, page, random.Random(page).randbytes(PAGE))
        buffer = await started(copy.world)
        lost.append(await assert_accounted_for(copy, buffer) - RECEIPTED_BEFORE)
        await buffer.close()
    assert min(lost) >= 0
    # Some pages hold records that are nowhere else: a test that never sees a loss would prove nothing.
    assert max(lost) > 0


async def test_flipped_bits_anywhere_are_accounted_for(made: Made, tmp_path: Path) -> None:
    chance = random.Random(17)
    for number in range(40):
        copy = made.copy_to(tmp_path / str(number))
        raw = bytearray(copy.world.path.read_bytes())
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        copy.world.path.write_bytes(raw)
        buffer = await started(copy.world)
        await assert_accounted_for(copy, buffer)
        await buffer.close()


async def test_a_file_cut_in_half_is_accounted_for_as_far_as_it_tells(made: Made) -> None:
    raw = made.world.path.read_bytes()
    made.world.path.write_bytes(raw[: len(raw) // 2])
    buffer = await started(made.world)
    await assert_accounted_for(made, buffer)
    await buffer.close()


@pytest.mark.parametrize("at", [0, 9, 17, 25, 40, 42, 50])
async def test_one_flipped_bit_in_the_log_s_headers_costs_no_record(tmp_path: Path, at: int) -> None:
    """The header of the log is 32 bytes, the first frame's 24: magic, page size, salts, checksum; page, size, salts."""
    made = await make(tmp_path)
    buffer = await made.world.open(sealing=False)
    for start in range(0, 60, 10):
        await made.append(buffer, "boiler", start, 10)
    copy = made.copy_to(tmp_path / "copy")
    log = made.world.path.with_name("buffer.db-wal")
    raw = bytearray(log.read_bytes())
    raw[at] ^= 1
    copy.world.path.with_name(log.name).write_bytes(raw)
    await buffer.close()
    again = await started(copy.world)
    assert "log had rotted" in (await again.status()).repairs[0]
    assert await assert_accounted_for(copy, again) == RECEIPTED_BEFORE
    await again.close()


@pytest.mark.parametrize("tables", [("epochs",), ("epoch_copies",), ("epochs", "epoch_copies")])
async def test_a_key_with_a_flipped_bit_is_read_from_its_copy_or_costs_what_it_sealed(
    made: Made, tables: tuple[str, ...]
) -> None:
    connection = apsw.Connection(str(made.world.path))
    connection.execute("UPDATE epochs SET confirmed = 0")
    for table in tables:
        connection.execute(
            f"UPDATE {table} SET message = CAST(substr(message, 1, 9) || x'00' || substr(message, 11) AS BLOB)"
        )
    connection.close()
    made.hub.epochs.clear()
    buffer = await started(made.world)
    lost = await assert_accounted_for(made, buffer) - RECEIPTED_BEFORE
    assert (lost > 0) == (len(tables) == 2)
    await buffer.close()


async def test_rows_that_contradict_what_is_there_are_set_right_at_the_start(made: Made) -> None:
    connection = apsw.Connection(str(made.world.path))
    connection.execute("UPDATE streams SET head = head - 10, tail_records = 7 WHERE id = 1")
    connection.execute("UPDATE batches SET state = 0 WHERE state = 2")
    connection.execute("DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks)")
    connection.execute("DELETE FROM receipts")
    connection.close()
    buffer = await started(made.world)
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE + 10
    await buffer.close()


async def test_the_damaged_files_of_several_repairs_are_all_kept(made: Made) -> None:
    for _ in range(2):
        overwrite(made.world.path, 1)
        await (await started(made.world)).close()
    folder = made.world.path.parent
    assert len([each for each in folder.glob("buffer.db.damaged-*") if each.name.count("-") == 1]) == 2


async def test_text_that_is_not_utf_8_any_more_is_damage_and_costs_no_record(made: Made) -> None:
    """SQLite checks no text; it fails when it is read, here when receipts are told to the hub."""
    connection = apsw.Connection(str(made.world.path))
    connection.execute("UPDATE receipts SET detail = CAST(x'6ba0' AS TEXT)")
    connection.close()
    buffer = await started(made.world)
    with pytest.raises(BufferBroken, match="has been replaced"):
        await bring_to(made.hub, buffer)
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()


async def test_ranges_of_a_stream_that_cannot_be_read_are_damage_and_cost_no_record(made: Made) -> None:
    connection = apsw.Connection(str(made.world.path))
    connection.execute("UPDATE streams SET given_up = x'80' WHERE id = (SELECT max(id) FROM streams)")
    connection.close()
    buffer = await started(made.world)
    assert "set aside" in (await buffer.status()).repairs[0]
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("column", ["epoch", "dictionary"])
async def test_batches_whose_rows_name_another_key_are_sent_with_the_one_that_their_bytes_name(
    made: Made, column: str, is_running: bool
) -> None:
    update = f"UPDATE batches SET {column} = x'0011223344556677' WHERE state = 0"
    if not is_running:
        connection = apsw.Connection(str(made.world.path))
        connection.execute(update)
        connection.close()
    buffer = await started(made.world)
    if is_running:
        buffer._store._database.connection.execute(update)
    assert await assert_accounted_for(made, buffer) == RECEIPTED_BEFORE
    await buffer.close()


@pytest.mark.parametrize("what", ["appended", "sealed"])
async def test_a_table_s_page_that_was_not_written_is_accounted_for(made: Made, tmp_path: Path, what: str) -> None:
    """A disk that says it has written a page, and has not: what the page was before contradicts the others."""
    buffer = await made.world.open()
    if what == "sealed":
        for start in range(0, 60, 10):
            await made.append(buffer, "boiler", start, 10)
    before = _folded(buffer, made)
    if what == "appended":
        await made.append(buffer, "boiler", 60, 10)
    else:
        await buffer.seal_due(link_up=True, flush=True)
    after = _folded(buffer, made)
    await buffer.close()
    tables = [root_of(made.world.path, tree) for tree in TREES if tree != "by_digest"]
    changed = [page for page in tables if _page(before, page) != _page(after, page)]
    assert len(changed) > 1
    for page in changed:
        copy = made.copy_to(tmp_path / str(page))
        copy.world.path.write_bytes(after)
        overwrite(copy.world.path, page, _page(before, page))
        again = await started(copy.world)
        for _ in range(3):
            with suppress(BufferBroken):
                await assert_accounted_for(copy, again)
                break
        else:
            raise AssertionError("it is repaired again and again")
        await again.close()


def _folded(buffer: Buffer, made: Made) -> bytes:
    buffer._store.fold()
    return made.world.path.read_bytes()


def _page(raw: bytes, number: int) -> bytes:
    return raw[(number - 1) * PAGE : number * PAGE]
