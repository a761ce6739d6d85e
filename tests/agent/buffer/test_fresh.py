"""Where haste is asked for, a commit that brings much of a batch brings the batch, and nothing of it joins the tail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from farshore_agent.buffer import BufferStatus, sealer
from farshore_agent.buffer.seal_policy import AT_ONCE_SHARE, is_sealed_at_once
from farshore_agent.settings import EffortChoice, SealSettings, StreamSettings
from farshore_protocol.columns import Columns, encode
from farshore_protocol.hours import HOUR_US
from tests.agent.buffer.world import SEAL, START_US, THIN, FakeHub, World, admitted, drain, policies, readings

MANY = round(AT_ONCE_SHARE * SEAL.max_records)
FAST = StreamSettings(effort=EffortChoice.FAST)


@pytest.fixture
def world(world: World) -> World:
    world.policies = policies(boiler=FAST, thinned=THIN)
    return world


def in_tail(status: BufferStatus) -> int:
    return sum(stream.tail_records for stream in status.streams)


async def sequences(world: World, hub: FakeHub, *counts: int) -> list[tuple[int, int]]:
    """What appends of so many records each become: the batches, before anything was sealed from the tail."""
    buffer = await world.open()
    start = 0
    for count in counts:
        answer = await buffer.append("boiler", admitted(readings(start, count)))
        assert (answer.first, answer.last) == (start + 1, start + count)
        start += count
    made = [(each.first, each.count) for each in await buffer.waiting(max_bytes=2**30, max_batches=100)]
    await drain(buffer, hub)
    records = [record for (_, _, _), record in sorted(hub.records.items(), key=lambda item: item[0][2])]
    assert records == readings(0, sum(counts))
    await buffer.close()
    return made


async def test_many_records_of_one_commit_become_a_batch_and_a_few_wait_in_the_tail(world: World, hub: FakeHub) -> None:
    """The first commit makes the stream, which a batch needs to exist."""
    made = await sequences(world, hub, 1, MANY, MANY - 1, 7 * MANY, MANY)
    # More than one batch holds is cut into equal ones.
    assert made == [(2, MANY), (2 * MANY + 1, 87), (2 * MANY + 88, 88), (9 * MANY + 1, MANY)]


async def test_the_next_look_for_what_is_due_tells_of_them(world: World) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 1)))
    await buffer.append("boiler", admitted(readings(1, 7 * MANY)))
    assert [await buffer.seal_due(link_up=True) for _ in range(2)] == [2, 0]
    await buffer.close()


async def test_without_haste_everything_waits_for_more(world: World, hub: FakeHub) -> None:
    world.policies = policies()
    assert await sequences(world, hub, 1, MANY, 4 * MANY) == []


async def test_without_a_key_they_wait_in_the_tail(world: World, hub: FakeHub) -> None:
    buffer = await world.open(sealing=False)
    await buffer.append("boiler", admitted(readings(0, MANY)))
    await buffer.append("boiler", admitted(readings(MANY, MANY)))
    assert in_tail(await buffer.status()) == 2 * MANY
    await world.give_epoch(buffer)
    await drain(buffer, hub)
    assert len(hub.records) == 2 * MANY
    await buffer.close()


async def test_what_cannot_be_sealed_goes_through_the_tail(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def refusing(columns: Columns, **settings: Any) -> bytes:  # noqa: ANN401 - the encoder's own
        calls.append(columns.count)
        if len(calls) == 1:
            raise ValueError("unlucky")
        return encode(columns, **settings)

    monkeypatch.setattr(sealer, "encode", refusing)
    assert await sequences(world, hub, 1, MANY + 1, MANY) == [(MANY + 3, MANY)]


async def test_what_comes_out_larger_than_a_batch_may_be_goes_through_the_tail(world: World, hub: FakeHub) -> None:
    world.seal = SealSettings(max_records=100, max_bytes=4096)
    buffer = await world.open()
    noise = [{"ts": n, "noise": world.random.token(200)} for n in range(MANY)]
    await buffer.append("boiler", admitted(noise[:1]))
    cut = await buffer.append("boiler", admitted(noise))
    assert (cut.last, in_tail(await buffer.status())) == (1 + MANY, 1)
    understated = replace(admitted(noise), bytes=0)
    await buffer.append("boiler", understated)
    assert in_tail(await buffer.status()) == 1 + MANY
    await drain(buffer, hub)
    assert len(hub.records) == 1 + 2 * MANY
    await buffer.close()


async def test_they_are_counted_by_the_hour_and_leave_a_summary_as_others_do(world: World) -> None:
    late = [{"ts": (START_US + n * HOUR_US // 20) // 1000, "temp": n} for n in range(2 * MANY)]
    told = []
    for effort in (EffortChoice.FAST, EffortChoice.SMALL):
        world.path = world.path.with_name(effort.value)
        world.policies = policies(thinned=StreamSettings(when_full=THIN.when_full, effort=effort))
        buffer = await world.open()
        await buffer.append("thinned", admitted(late[:1]))
        mixed = admitted(late[1:])
        mixed = type(mixed)(mixed.records, START_US, late[-1]["ts"] * 1000, mixed.bytes, [])
        await buffer.append("thinned", mixed)
        assert in_tail(await buffer.status()) == (1 if effort is EffortChoice.FAST else 2 * MANY)
        await buffer.seal_due(link_up=True, flush=True)
        batches = await buffer.waiting(max_bytes=2**30, max_batches=100)
        manifest = await buffer.manifest(whole=True, batches=[each.id for each in batches])
        [claim] = manifest.claims
        summaries = [buffer._store._database.the_row("summary_of", each.id)[0] for each in batches]
        told.append((claim.hours, claim.head, all(summaries)))
        await buffer.close()
    assert told[0] == told[1]
    assert told[0][2]


@pytest.mark.parametrize(
    ("records", "choice", "at_once"),
    [
        (MANY, EffortChoice.FAST, True),
        (MANY - 1, EffortChoice.FAST, False),
        (10 * MANY, EffortChoice.AUTO, False),
        (10 * MANY, EffortChoice.SMALL, False),
    ],
)
def test_only_haste_and_many_records_let_producers_wait_for_the_encoder(
    records: int, choice: EffortChoice, *, at_once: bool
) -> None:
    assert is_sealed_at_once(records, choice, SEAL) is at_once
