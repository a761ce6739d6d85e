"""The Python door: records of the same process."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from farshore_agent.collect.python import PythonDoor
from farshore_agent.errors import BufferFull, RecordsRefused, StreamNotFound
from farshore_agent.settings.streams import StreamPolicies
from tests.agent.clocks import SteppedClock
from tests.agent.collect.fake_buffer import FakeBuffer


@pytest.fixture
def buffer() -> FakeBuffer:
    return FakeBuffer()


@pytest.fixture
def door(buffer: FakeBuffer) -> PythonDoor:
    return PythonDoor(buffer.append, StreamPolicies(max_undeclared=2), SteppedClock())


async def test_one_record_or_many_are_stored(door: PythonDoor, buffer: FakeBuffer) -> None:
    assert (await door.append("boiler", {"ts": 1795422600, "v": 1})).last == 1
    assert (await door.append("boiler", [{"ts": 1795422600, "v": 2}])).last == 2
    assert (await door.append("boiler", ({"ts": 1795422600, "v": step} for step in (3, 4)))).first == 3
    assert [record["v"] for record in buffer.records["boiler"]] == [1, 2, 3, 4]


async def test_a_datetime_is_a_time(door: PythonDoor, buffer: FakeBuffer) -> None:
    await door.append("boiler", {"ts": datetime(2026, 11, 23, 8, 30, tzinfo=UTC)})
    assert buffer.records["boiler"] == [{"ts": "2026-11-23T08:30:00Z"}]


async def test_the_good_ones_are_stored_and_the_refused_counted(door: PythonDoor, buffer: FakeBuffer) -> None:
    appended = await door.append("boiler", [{"ts": 1795422600}, {"ts": 1795422600, "v": math.nan}])
    assert (appended.last, appended.refused) == (1, 1)
    assert buffer.refused["boiler"][0].line == 2


async def test_when_all_are_refused_it_raises_with_the_reasons(door: PythonDoor, buffer: FakeBuffer) -> None:
    with pytest.raises(RecordsRefused, match="has no event time") as caught:
        await door.append("boiler", [{"v": 1}, {"ts": "never"}])
    assert [one.line for one in caught.value.refused] == [1, 2]
    assert len(buffer.refused["boiler"]) == 2


async def test_nothing_to_append_is_the_callers_mistake(door: PythonDoor) -> None:
    with pytest.raises(ValueError, match="no records"):
        await door.append("boiler", [])


async def test_a_full_buffer_is_told(door: PythonDoor, buffer: FakeBuffer) -> None:
    buffer.full_for = 1
    with pytest.raises(BufferFull):
        await door.append("boiler", {"ts": 1795422600})


async def test_made_up_streams_are_bounded(door: PythonDoor) -> None:
    for stream in ("one", "two", "one"):
        await door.append(stream, {"ts": 1795422600})
    with pytest.raises(StreamNotFound, match="2 undeclared ones are in use"):
        await door.append("three", {"ts": 1795422600})
    with pytest.raises(StreamNotFound, match="not a stream name"):
        await door.append("a/b", {"ts": 1795422600})
