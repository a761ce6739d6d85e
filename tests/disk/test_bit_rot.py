"""One flipped bit in the buffer's file or log is noticed, wherever it is; an interrupted repair costs nothing more.

Some bits of every page, others in every run; `make bitrot` flips as many as it is given time for.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore_agent.errors import BufferBroken, BufferFull
from tests.agent.buffer.damaged import assert_accounted_for, make, overwrite, root_of, started
from tests.disk.agent_disk import agent_disk
from tests.disk.bit_rot import LOG, Flip, make_store, survey, try_flip
from tests.disk.tape import Fault, Plan, Tape

SEED = 20_261_126
FLIPS = 100
STRIDE = 23


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    """Damage is noticed, and the buffer says so each time."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_every_flipped_bit_is_noticed_or_harmless() -> None:
    for seed in (SEED, random.SystemRandom().getrandbits(32)):
        figures = survey(FLIPS, seed)
        assert not figures.unnoticed, f"seed {seed}: {figures}"
        assert figures.flips == FLIPS


FRAME = 24 + 4096
PAGE_NUMBER, PAGES_AFTER, IN_THE_PAGE = 3, 7, 43


@pytest.mark.parametrize(
    ("frame", "byte", "bit"),
    [(0, PAGE_NUMBER, 0), (0, PAGE_NUMBER, 7), (7, PAGE_NUMBER, 3), (-1, PAGES_AFTER, 5), (0, IN_THE_PAGE, 7)],
)
async def test_a_page_of_the_log_that_may_be_another_one_spoils_none(
    tmp_path: Path, frame: int, byte: int, bit: int
) -> None:
    """The checksum cannot tell the highest bits of some words apart, and the page's number is in such a word."""
    (tmp_path / "made").mkdir()
    made = await make_store(tmp_path / "made")
    (tmp_path / "whole").mkdir()
    before = await try_flip(made, None, tmp_path / "whole")
    size = made.world.path.with_name(LOG).stat().st_size
    at = 32 + frame % ((size - 32) // FRAME) * FRAME + byte
    (tmp_path / "flipped").mkdir()
    assert await try_flip(made, Flip(LOG, 8 * at + bit), tmp_path / "flipped") == before


class Killed(BaseException):
    """The process ends here."""


async def test_a_kill_while_a_repaired_file_is_put_in_place_loses_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    made = await make(tmp_path / "made")
    overwrite(made.world.path, root_of(made.world.path, "chunks"))
    replace, left = Path.replace, itertools.count()

    def replace_or_die(path: Path, target: Path) -> Path:
        if next(left) == 0:
            raise Killed
        return replace(path, target)

    for renames in itertools.count():
        copy = made.copy_to(tmp_path / str(renames))
        left = itertools.count(-renames)
        monkeypatch.setattr(Path, "replace", replace_or_die)
        try:
            buffer = await copy.world.open()
        except Killed:
            monkeypatch.undo()
            buffer = await started(copy.world)
            assert await assert_accounted_for(copy, buffer) > 0
            assert "damaged" in (await buffer.status()).repairs[0]
            await buffer.close()
        else:
            await buffer.close()
            break
    assert renames > 1


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.FULL])
async def test_a_disk_that_fails_during_a_repair_costs_nothing_more(tmp_path: Path, fault: Fault) -> None:
    (tmp_path / "made").mkdir()
    made = await make(tmp_path / "made")
    overwrite(made.world.path, root_of(made.world.path, "chunks"))
    for at in itertools.count(random.SystemRandom().randint(1, STRIDE), STRIDE):
        copy = made.copy_to(tmp_path / str(at))
        plan = Plan(fault, at, sticky=True)
        with agent_disk(copy.world.path.parent, Tape(plan)) as disk:
            copy.world.vfs = disk.name
            try:
                buffer = await copy.world.open(sealing=False)
            except (BufferBroken, BufferFull):
                plan.is_over = True
                buffer = await started(copy.world)
            else:
                plan.is_over = True
                await copy.world.give_epoch(buffer)
            assert await assert_accounted_for(copy, buffer) > 0
            await buffer.close()
        if not plan.was_met:
            break
    assert at > STRIDE


async def test_a_repair_without_room_is_tried_again_when_there_is_room(tmp_path: Path) -> None:
    made = await make(tmp_path)
    plan = Plan(Fault.FULL, 1, sticky=True, is_over=True)
    with agent_disk(tmp_path, Tape(plan)) as disk:
        made.world.vfs = disk.name
        buffer = await made.world.open()
        buffer._store._database.fold()
        overwrite(made.world.path, root_of(made.world.path, "chunks"))
        # Nothing is kept in memory, so that the damage is met.
        buffer._store._database.connection.pragma("cache_size", 0)
        plan.is_over = False
        for _ in range(3):
            with pytest.raises((BufferBroken, BufferFull)):
                await made.append(buffer, "boiler", 0, 10)
        plan.is_over = True
        with pytest.raises(BufferBroken, match="has been replaced"):
            await made.append(buffer, "boiler", 0, 10)
        await made.world.give_epoch(buffer)
        assert await assert_accounted_for(made, buffer) > 0
        await buffer.close()
