"""Counts by the hour: made where a record gets its sequence, and kept beside it until the hub was told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer import Admitted, Buffer, Manifest
from farshore_agent.buffer.hours import cut, runs_of
from farshore_agent.settings import SealSettings, StreamSettings
from farshore_protocol.event_time import event_time_us
from farshore_protocol.hours import HOUR_US, hour_of
from farshore_protocol.messages import Reason
from tests.agent.buffer.world import EVICT, START_US, FakeHub, World, drain, policies

HOUR = START_US // HOUR_US


def spread(count: int, step_us: int, start_us: int = START_US) -> Admitted:
    times = [start_us + n * step_us for n in range(count)]
    records = [{"ts": at, "n": n} for n, at in enumerate(times)]
    return Admitted(records, min(times), max(times), 50 * count, [])


def hours_of(manifest: Manifest, stream: str = "boiler") -> list[int]:
    return next(claim.hours for claim in manifest.claims if claim.stream == stream)


async def say(buffer: Buffer, hub: FakeHub, *, whole: bool = True) -> Manifest:
    """A statement that the hub answers."""
    manifest = await buffer.manifest(whole=whole)
    await buffer.settle(hub.answer(buffer.incarnation, manifest))
    return manifest


async def test_every_sequence_is_counted_under_the_hour_of_its_event(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", spread(4, 0))
    await buffer.append("boiler", spread(5, HOUR_US // 2))
    assert hours_of(await buffer.manifest(whole=True)) == [HOUR, 6, HOUR + 1, 2, HOUR + 2, 1]
    await buffer.close()


async def test_what_the_hub_has_answered_is_not_told_again_and_what_it_has_not_is(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", spread(4, 0))
    assert hours_of(await buffer.manifest(whole=True)) == [HOUR, 4]
    assert hours_of(await say(buffer, hub)) == [HOUR, 4]
    assert hours_of(await buffer.manifest(whole=True)) == []
    await buffer.append("boiler", spread(3, 0))
    assert hours_of(await say(buffer, hub)) == [HOUR, 7]
    hub.life = b"life-002"
    await say(buffer, hub)
    assert hours_of(await buffer.manifest(whole=True)) == [HOUR, 7]
    await buffer.close()


async def test_what_came_while_a_statement_was_on_its_way_is_told_with_the_next(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", spread(4, 0))
    manifest = await buffer.manifest(whole=True)
    await buffer.append("boiler", spread(3, 0))
    await buffer.settle(hub.answer(buffer.incarnation, manifest))
    assert hours_of(await buffer.manifest(whole=True)) == [HOUR, 7]
    await buffer.close()


async def test_counts_outlive_a_restart(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", spread(4, HOUR_US))
    await buffer.close()
    buffer = await world.open()
    assert hours_of(await buffer.manifest(whole=True)) == [n for at in range(4) for n in (HOUR + at, 1)]
    await buffer.close()


async def test_batches_travel_with_their_hours(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", spread(3, 0))
    await buffer.append("boiler", spread(4, HOUR_US // 2))
    await buffer.seal_due(link_up=True, flush=True)
    [batch] = await buffer.waiting(max_bytes=10**6, max_batches=10)
    manifest = await buffer.manifest(whole=True, batches=[batch.id])
    assert manifest.claims[0].sealed == [(1, [HOUR, 5, HOUR + 1, 2])]
    await buffer.close()


async def test_the_receipt_of_what_is_evicted_tells_its_hours(world: World) -> None:
    world.policies = policies(boiler=EVICT)
    world.seal = SealSettings(max_records=100, max_bytes=64 * 1024, linger_s=5, linger_offline_s=600)
    buffer = await world.open()
    counted: dict[int, int] = {}
    for at in range(60):
        big = spread(40, HOUR_US // 30, START_US + at * HOUR_US)
        noisy = [record | {"noise": world.random.token(10_000)} for record in big.records]  # type: ignore[operator]
        await buffer.append("boiler", Admitted(noisy, big.oldest_us, big.newest_us, 10_000 * 40, []))
        if at % 2:
            await buffer.seal_due(link_up=False, flush=True)
    receipts = (await buffer.manifest(whole=True)).receipts
    assert receipts
    for receipt in receipts:
        assert receipt.reason is Reason.EVICTED
        assert sum(receipt.hours[1::2]) == receipt.last - receipt.first + 1
        for hour, count in zip(receipt.hours[::2], receipt.hours[1::2], strict=True):
            counted[hour] = counted.get(hour, 0) + count
    first_hours = [hour_of(START_US + at * HOUR_US) for at in range(3)]
    assert [counted[hour] for hour in first_hours] == [30, 40, 40]
    await buffer.close()


async def test_a_stream_without_times_is_counted_by_the_arrival(world: World, hub: FakeHub) -> None:
    world.policies = policies(log=StreamSettings(time_field=None))
    buffer = await world.open()
    for at in range(3):
        now_us = START_US + at * HOUR_US
        await buffer.append("log", Admitted([{"line": "x"}] * 5, now_us, now_us, 100, []))
    assert hours_of(await buffer.manifest(whole=True), "log") == [HOUR, 5, HOUR + 1, 5, HOUR + 2, 5]
    await drain(buffer, hub)
    await buffer.close()


TIMES = st.lists(st.integers(10**15, 7_258_118_399_999_999), min_size=1, max_size=20)


@given(TIMES, st.sampled_from(["number", "text", "utc"]), st.integers(1, 7))
def test_cut_runs_are_the_hours_of_each_record(times: list[int], how: str, size: int) -> None:
    records: list[dict[str, Any]] = [{"ts": _written(at, how)} for at in times]
    exact = [event_time_us(record["ts"]) for record in records]
    runs = runs_of(records, min(exact), max(exact), "ts")
    counts = [len(exact[at : at + size]) for at in range(0, len(exact), size)]
    for at, found in enumerate(cut(runs, counts)):
        own: dict[int, int] = {}
        for time_us in exact[at * size : (at + 1) * size]:
            own[hour_of(time_us)] = own.get(hour_of(time_us), 0) + 1
        assert found == own


def _written(time_us: int, how: str) -> object:
    at = datetime.fromtimestamp(time_us // 1_000_000, UTC)
    if how == "number":
        return time_us
    return at.isoformat().replace("+00:00", "Z") if how == "utc" else at.isoformat()
