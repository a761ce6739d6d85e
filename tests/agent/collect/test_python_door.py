"""The Python door: records of the same process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from farshore_agent.collect.python import MAX_TURN_BYTES, MAX_TURN_RECORDS, PythonDoor
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


async def together(door: PythonDoor, calls: Iterable[Any]) -> list[Any]:
    """The answers, or the errors, of calls that are made in one turn of the loop."""
    return await asyncio.gather(*(door.append("boiler", records) for records in calls), return_exceptions=True)


async def test_calls_of_one_turn_of_the_loop_go_together_and_each_gets_its_own_sequences(
    door: PythonDoor, buffer: FakeBuffer
) -> None:
    calls = [[{"ts": 1795422600, "call": call}] * count for call, count in enumerate((1, 3, 1, 2))]
    answers = await together(door, calls)
    assert [(each.first, each.last) for each in answers] == [(1, 1), (2, 4), (5, 5), (6, 7)]
    assert [record["call"] for record in buffer.records["boiler"]] == [0, 1, 1, 1, 2, 3, 3]
    assert buffer.appends == 1


async def test_a_bad_record_is_the_affair_of_its_own_call(door: PythonDoor, buffer: FakeBuffer) -> None:
    good, bad = {"ts": 1795422600}, {"ts": "never"}
    first, second, third, fourth = await together(door, (good, [good, bad], bad, [good, good]))
    stored = [(each.first, each.last, each.refused) for each in (first, second, fourth)]
    assert stored == [(1, 1, 0), (2, 2, 1), (3, 4, 0)]
    assert isinstance(third, RecordsRefused)
    assert [one.line for one in third.refused] == [1]
    assert [one.line for one in buffer.refused["boiler"]] == [2, 1]


async def test_a_caller_that_gives_up_takes_nobody_with_it(door: PythonDoor, buffer: FakeBuffer) -> None:
    callers = [asyncio.create_task(door.append("boiler", {"ts": 1795422600, "v": number})) for number in range(3)]
    await asyncio.sleep(0)
    callers[1].cancel()
    told: list[Any] = await asyncio.gather(*callers, return_exceptions=True)
    assert (told[0].last, told[2].last) == (1, 3)
    assert isinstance(told[1], asyncio.CancelledError)
    assert [record["v"] for record in buffer.records["boiler"]] == [0, 1, 2]


async def test_all_callers_of_a_turn_are_told_of_a_full_buffer(door: PythonDoor, buffer: FakeBuffer) -> None:
    buffer.full_for = 1
    told = await together(door, [{"ts": 1795422600}] * 3)
    assert list(map(type, told)) == [BufferFull] * 3


async def test_what_is_too_much_for_one_commit_goes_call_by_call(door: PythonDoor, buffer: FakeBuffer) -> None:
    answers = await together(door, [{"ts": 1795422600, "text": "x" * (MAX_TURN_BYTES // 2)}] * 3)
    assert (buffer.appends, [each.last for each in answers]) == (3, [1, 2, 3])


async def test_many_records_at_once_go_alone_and_in_their_turn(door: PythonDoor, buffer: FakeBuffer) -> None:
    answers = await together(door, [[{"ts": 1795422600}] * count for count in (1, MAX_TURN_RECORDS, 1)])
    assert (buffer.appends, [each.last for each in answers]) == (3, [1, MAX_TURN_RECORDS + 1, MAX_TURN_RECORDS + 2])
