"""What inputs rely on, of the buffer and of the fake that stands for it in the other tests."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farshore_agent.buffer import Buffer
from farshore_agent.buffer.model import Admitted, Checkpoint, Refused
from farshore_agent.collect.formats import NOTHING
from farshore_agent.errors import BufferFull
from tests.agent.buffer.world import World
from tests.agent.collect.fake_buffer import FakeBuffer

NOW_US = 1_795_435_200_000_000


def records(count: int, text: str = "") -> Admitted:
    made = [{"ts": NOW_US, "n": number, "text": text} for number in range(count)]
    return Admitted(made, NOW_US, NOW_US, count * (50 + len(text)), [])


@pytest.fixture(params=["the buffer", "the fake"])
async def buffer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Buffer | FakeBuffer]:
    if request.param == "the fake":
        yield FakeBuffer()
        return
    real = await World(tmp_path / "buffer.db").open(sealing=False)
    yield real
    await real.close()


async def test_sequences_start_at_one_and_have_no_holes(buffer: Buffer | FakeBuffer) -> None:
    answers = [await buffer.append("boiler", records(count)) for count in (2, 1, 3)]
    assert [(answer.first, answer.last) for answer in answers] == [(1, 2), (3, 3), (4, 6)]
    assert len({answer.incarnation for answer in answers}) == 1
    assert len(answers[0].incarnation) == 8


async def test_where_all_is_refused_the_first_is_one_after_the_last(buffer: Buffer | FakeBuffer) -> None:
    await buffer.append("boiler", records(2))
    refused = Refused(1, "ts", "has no event time", "{}")
    answer = await buffer.append("boiler", Admitted([], 0, 0, 0, [refused, refused]))
    assert (answer.first, answer.last, answer.refused) == (3, 2, 2)


async def test_a_checkpoint_is_stored_with_records_or_alone_and_the_last_one_counts(
    buffer: Buffer | FakeBuffer,
) -> None:
    assert await buffer.load_checkpoint("drop/a.csv") is None
    await buffer.append("boiler", records(1), Checkpoint("drop/a.csv", b"one"))
    await buffer.append("boiler", records(1), Checkpoint("drop/b.csv", b"other"))
    assert await buffer.load_checkpoint("drop/a.csv") == b"one"
    await buffer.append("boiler", NOTHING, Checkpoint("drop/a.csv", b""))
    assert not await buffer.load_checkpoint("drop/a.csv")
    assert await buffer.load_checkpoint("drop/b.csv") == b"other"


async def test_where_there_is_no_room_nothing_is_stored_not_even_the_checkpoint(buffer: Buffer | FakeBuffer) -> None:
    stored: list[bytes] = []
    with pytest.raises(BufferFull):
        await _fill(buffer, stored)
    assert stored
    assert await buffer.load_checkpoint("drop/a.csv") == stored[-1]


async def _fill(buffer: Buffer | FakeBuffer, stored: list[bytes]) -> None:
    noise = random.Random(0)
    for number in range(100):
        if isinstance(buffer, FakeBuffer):
            buffer.full_for = number // 3
        one, value = records(1, noise.randbytes(400_000).hex()), b"%d" % number
        await buffer.append("boiler", one, Checkpoint("drop/a.csv", value))
        stored.append(value)
