"""What the hub's answers do: acknowledge, take back, archive, refuse, fork."""

from __future__ import annotations

import random

import msgspec
import pytest

from farshore_agent.buffer import Buffer, OutboxBatch, expiry, statement
from farshore_agent.buffer.streams import all_streams
from farshore_protocol.messages import Reason, Refusal, Refused
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.agent.buffer.world import MIB, FakeHub, World, admitted, drain, exchange, readings


async def test_an_acknowledged_batch_stays_until_it_is_archived(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 300)))
    await drain(buffer, hub)
    assert (await buffer.status()).retained_batches == 3
    hub.archived[buffer.incarnation, "boiler"] = 200
    await exchange(buffer, hub)
    assert (await buffer.status()).retained_batches == 1
    await buffer.close()


async def test_an_acknowledged_batch_goes_after_its_time(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    await drain(buffer, hub)
    world.clock.advance(6 * 86_400)
    await buffer.expire()
    assert (await buffer.status()).retained_batches == 1
    world.clock.advance(2 * 86_400)
    await buffer.expire()
    status = await buffer.status()
    assert (status.retained_batches, status.open_receipts) == (0, 0)
    await buffer.close()


async def test_a_restored_hub_gets_again_what_it_lost(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 300)))
    await drain(buffer, hub)
    had = dict(hub.records)
    hub.records = {key: record for key, record in hub.records.items() if key[2] <= 100}
    hub.life = b"life-002"
    await exchange(buffer, hub)
    assert [batch.first for batch in await buffer.waiting(max_bytes=MIB, max_batches=10)] == [101, 201]
    await drain(buffer, hub)
    assert hub.records == had
    await buffer.close()


async def test_more_held_ranges_than_a_link_carries_are_claimed_up_to_the_last(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "MAX_RANGES", 3)
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 1_000)))
    await drain(buffer, hub)
    hub.records = {key: record for key, record in hub.records.items() if (key[2] - 1) // 100 % 2}
    hub.life = b"life-002"
    await exchange(buffer, hub)
    assert (await buffer.manifest(whole=True)).claims[0].held == [1, 100, 201, 300, 401, 900]
    await buffer.close()


@pytest.mark.parametrize("seed", range(4))
async def test_what_a_claim_of_too_many_ranges_says_too_much_the_hub_has(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """So a gap in a history that is in too many pieces has its name as soon as the site has heard of it."""
    monkeypatch.setattr(statement, "MAX_RANGES", 2)
    chance, buffer, said_too_much = random.Random(seed), await world.open(), 0
    for _ in range(12):
        await buffer.append("boiler", admitted(readings(0, 400)))
        await drain(buffer, hub)
        there = hub.stored(buffer.incarnation, "boiler")
        hub.archived[buffer.incarnation, "boiler"] = chance.randint(0, there.highest // 2)
        await exchange(buffer, hub)
        lost = {at for at in range(1, there.highest + 1, 100) if chance.random() < 0.4}
        hub.records = {key: record for key, record in hub.records.items() if (key[2] - 1) // 100 * 100 + 1 not in lost}
        hub.life = world.random.token(8)
        for _ in range(3):
            await exchange(buffer, hub, max_batches=2)
            hub.note(manifest := await buffer.manifest(whole=True))
            [held] = [row.held for row in all_streams(buffer._store._database)]
            claimed = RangeSet.from_wire(manifest.claims[0].held)
            has = hub.stored(buffer.incarnation, "boiler") | hub.receipted.get((buffer.incarnation, "boiler"), EMPTY)
            assert not held - claimed
            assert not claimed - held - has
            said_too_much += (claimed - held).count
    assert said_too_much
    await buffer.close()


async def test_what_a_restored_hub_lost_and_the_buffer_too_gets_a_receipt(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 300)))
    await drain(buffer, hub)
    hub.archived[buffer.incarnation, "boiler"] = 200
    await exchange(buffer, hub)
    hub.records.clear()
    await exchange(buffer, hub)
    manifest = await buffer.manifest(whole=True)
    assert [(each.first, each.last, each.reason) for each in manifest.receipts] == [(1, 200, Reason.UNRETAINED)]
    assert manifest.claims[0].held == [201, 300]
    await drain(buffer, hub)
    assert hub.receipted[buffer.incarnation, "boiler"].to_wire() == [1, 200]
    assert hub.stored(buffer.incarnation, "boiler").to_wire() == [201, 300]
    await buffer.close()


async def test_an_answer_that_was_overtaken_is_ignored(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    early = await buffer.manifest(whole=True)
    hub.note(early)
    late_answer = hub.answer(buffer.incarnation, early)
    await drain(buffer, hub)
    settled = await buffer.settle(late_answer)
    assert "was answered already" in settled.ignored
    assert not await buffer.waiting(max_bytes=MIB, max_batches=10)
    await buffer.close()


async def test_an_answer_to_an_earlier_life_counts_until_a_later_one_was_answered(world: World, hub: FakeHub) -> None:
    first = await world.open()
    await first.append("boiler", admitted(readings(0, 10)))
    await first.seal_due(link_up=True, flush=True)
    [batch] = await first.waiting(max_bytes=MIB, max_batches=1)
    manifest = await first.manifest(whole=True, batches=[batch.id])
    hub.note(manifest)
    empty = hub.answer(first.incarnation, manifest)
    hub.take((await first.load([batch.id]))[0].raw)
    full = hub.answer(first.incarnation, manifest)
    await first.close()
    second = await world.open()
    assert (await second.settle(full)).acknowledged_records == 10
    await exchange(second, hub)
    assert (await second.settle(empty)).ignored
    assert (await second.status()).retained_batches == 1
    await second.close()


async def test_an_answer_to_a_life_that_never_was_is_ignored(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    manifest = await buffer.manifest(whole=True)
    assert (await buffer.settle(hub.answer(b"stranger", manifest))).ignored
    await buffer.close()


async def test_a_batch_that_the_hub_does_not_take_lets_others_pass_and_is_tried_again(
    world: World, hub: FakeHub
) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 200)))
    await buffer.seal_due(link_up=True, flush=True)
    first, second = await buffer.waiting(max_bytes=MIB, max_batches=10)
    manifest = await buffer.manifest(whole=True)
    refusal = Refusal(first.digest, Refused.UNSUPPORTED, "batch format 9")
    settled = await buffer.settle(hub.answer(buffer.incarnation, manifest, refusals=[refusal]))
    assert settled.refused == 1
    assert await buffer.waiting(max_bytes=MIB, max_batches=10) == [second]
    assert (await buffer.status()).streams[0].held_back == 1
    await buffer.expire()
    assert await buffer.waiting(max_bytes=MIB, max_batches=10) == [first, second]
    await buffer.close()


async def test_a_key_that_the_hub_has_lost_is_sent_along_again(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    await drain(buffer, hub)
    await buffer.append("boiler", admitted(readings(10, 200)))
    await buffer.seal_due(link_up=True, flush=True)
    batches = await buffer.waiting(max_bytes=MIB, max_batches=10)
    assert await buffer.attachments(batches) == ([], [])
    refusals = [Refusal(batch.digest, Refused.UNKNOWN_EPOCH, "", batch.epoch) for batch in batches]
    hub.epochs.clear()
    manifest = await buffer.manifest(whole=True)
    await buffer.settle(hub.answer(buffer.incarnation, manifest, refusals=refusals))
    assert await buffer.waiting(max_bytes=MIB, max_batches=10) == batches
    epochs, _ = await buffer.attachments(batches)
    assert [epoch.id for epoch in epochs] == [batches[0].epoch]
    await buffer.close()


async def test_a_fork_begins_a_new_life_and_asks_for_a_new_key(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    before = buffer.incarnation
    await buffer.append("boiler", admitted(readings(0, 10)))
    await buffer.seal_due(link_up=True, flush=True)
    [batch] = await buffer.waiting(max_bytes=MIB, max_batches=1)
    manifest = await buffer.manifest(whole=True)
    settled = await buffer.settle(hub.answer(before, manifest, forked=[batch.digest]))
    assert settled.forked == (batch.digest,)
    assert buffer.incarnation != before
    answer = await buffer.append("boiler", admitted(readings(0, 1)))
    assert (answer.incarnation, answer.first) == (buffer.incarnation, 1)
    assert await buffer.seal_due(link_up=True, flush=True) == 0
    await world.give_epoch(buffer)
    assert await buffer.seal_due(link_up=True, flush=True) == 1
    await buffer.close()


async def test_a_closed_life_is_forgotten_once_the_hub_has_it_whole(world: World, hub: FakeHub) -> None:
    first = await world.open()
    await first.append("boiler", admitted(readings(0, 10)))
    await first.close()
    second = await world.open()
    await drain(second, hub)
    hub.archived[first.incarnation, "boiler"] = 10
    await exchange(second, hub)
    await second.expire()
    assert (await second.manifest(whole=True)).claims == []
    await second.close()


async def test_statement_numbers_never_come_twice(world: World) -> None:
    buffer = await world.open()
    numbers = [(await buffer.manifest(whole=False)).number for _ in range(3)]
    assert numbers == [1, 2, 3]
    await buffer.close()


async def test_a_manifest_states_what_is_held_and_what_is_closed(world: World, hub: FakeHub) -> None:
    first = await world.open()
    await first.append("boiler", admitted(readings(0, 10)))
    await first.close()
    second = await world.open()
    await second.append("boiler", admitted(readings(0, 5)))
    await second.append("pump", admitted(readings(0, 5)))
    whole = await second.manifest(whole=True)
    assert [(c.stream, c.head, c.held, c.closed) for c in whole.claims] == [
        ("boiler", 10, [1, 10], True),
        ("boiler", 5, [1, 5], False),
        ("pump", 5, [1, 5], False),
    ]
    part = await second.manifest(whole=False, streams={(second.incarnation, "pump"), (b"stranger", "pump")})
    assert [c.stream for c in part.claims] == ["pump"]
    await second.close()


async def test_what_never_left_this_machine_is_not_taken_for_delivered(world: World, hub: FakeHub) -> None:
    """Found by the simulation: of a machine that was resumed twice from one snapshot, the other one was quicker.

    The hub has its records under the same sequences. Ours have to be sent all the same, so that the hub keeps both.
    """
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 100)))
    await drain(buffer, hub)
    await buffer.append("boiler", admitted(readings(100, 100)))
    await buffer.seal_due(link_up=True, flush=True)
    await buffer.append("boiler", admitted(readings(200, 50)))
    for n in range(101, 251):
        hub.records[buffer.incarnation, "boiler", n] = {"other": n}
    manifest = await buffer.manifest(whole=True)
    settled = await buffer.settle(hub.answer(buffer.incarnation, manifest))
    assert settled.acknowledged_records == 0
    await buffer.seal_due(link_up=True, flush=True)
    waiting = await buffer.waiting(max_bytes=MIB, max_batches=10)
    assert [(batch.first, batch.count) for batch in waiting] == [(101, 100), (201, 50)]
    manifest = await buffer.manifest(whole=True, batches=[batch.id for batch in waiting])
    forked = [batch.digest for batch in waiting]
    settled = await buffer.settle(hub.answer(buffer.incarnation, manifest, forked=forked))
    assert (settled.acknowledged_records, settled.forked) == (150, tuple(forked))
    await buffer.close()


async def _sealed(buffer: Buffer, count: int) -> OutboxBatch:
    await buffer.append("boiler", admitted(readings(0, count)))
    await buffer.seal_due(link_up=True, flush=True)
    (batch,) = await buffer.waiting(max_bytes=MIB, max_batches=2)
    return batch


async def test_what_may_have_been_lost_on_its_way_is_sent_again_whatever_the_hub_has(
    world: World, hub: FakeHub
) -> None:
    """Found by the simulation, seed 262: as above, and the parcel that should have shown the fork was lost.

    The account cannot tell whose records it has: only an answer that names a batch speaks of it.
    """
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    hub.note(await buffer.manifest(whole=True, batches=[batch.id]))  # but the batch never arrives
    for n in range(1, 101):
        hub.records[buffer.incarnation, "boiler", n] = {"other": n}
    manifest = await buffer.manifest(whole=True)
    assert (await buffer.settle(hub.answer(buffer.incarnation, manifest))).acknowledged_records == 0
    assert (await buffer.manifest(whole=True)).claims[0].held == [1, 100]
    assert await buffer.waiting(max_bytes=MIB, max_batches=2) == [batch]
    manifest = await buffer.manifest(whole=True, batches=[batch.id])
    settled = await buffer.settle(hub.answer(buffer.incarnation, manifest, forked=[batch.digest]))
    assert (settled.acknowledged_records, settled.forked) == (100, (batch.digest,))
    await buffer.close()


async def test_a_batch_whose_answer_was_lost_is_sent_again_byte_for_byte(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    before = await buffer.load([batch.id])
    await exchange(buffer, hub, answered=False)
    await exchange(buffer, hub, max_batches=0)
    assert await buffer.waiting(max_bytes=MIB, max_batches=2) == [batch]
    assert await buffer.load([batch.id]) == before
    await exchange(buffer, hub)
    assert (await buffer.status()).retained_batches == 1
    await buffer.close()


async def test_an_answer_that_was_overtaken_acknowledges_what_it_names_and_nothing_else(
    world: World, hub: FakeHub
) -> None:
    """A file comes to the hub and its answer back, and meanwhile the agent speaks with the hub over another link."""
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    exported = await buffer.manifest(whole=True, batches=[batch.id])
    hub.note(exported)
    hub.take((await buffer.load([batch.id]))[0].raw)
    by_file = hub.answer(buffer.incarnation, exported)
    await exchange(buffer, hub, max_batches=0)
    await buffer.append("boiler", admitted(readings(100, 50)))
    for n in range(101, 151):
        hub.records[buffer.incarnation, "boiler", n] = {"other": n}
    settled = await buffer.settle(by_file)
    assert settled.ignored
    assert (settled.acknowledged_batches, settled.acknowledged_records) == (1, 100)
    assert (await buffer.manifest(whole=True)).claims[0].held == [101, 150]
    assert (await buffer.settle(by_file)).acknowledged_batches == 0
    await buffer.close()


async def test_an_answer_of_an_earlier_start_of_the_hub_that_was_overtaken_acknowledges_nothing(
    world: World, hub: FakeHub
) -> None:
    """The hub may have been restored from a backup since, and have another machine's records there now."""
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    exported = await buffer.manifest(whole=True, batches=[batch.id])
    hub.note(exported)
    hub.take((await buffer.load([batch.id]))[0].raw)
    by_file = hub.answer(buffer.incarnation, exported)
    hub.life = b"life-002"
    await exchange(buffer, hub, max_batches=0)
    settled = await buffer.settle(by_file)
    assert (bool(settled.ignored), settled.acknowledged_batches) == (True, 0)
    await buffer.close()


async def test_the_account_of_a_hub_that_does_not_name_what_it_took_is_believed(world: World, hub: FakeHub) -> None:
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    manifest = await buffer.manifest(whole=True, batches=[batch.id])
    hub.note(manifest)
    hub.take((await buffer.load([batch.id]))[0].raw)
    answer = msgspec.structs.replace(hub.answer(buffer.incarnation, manifest), taken=None)
    assert (await buffer.settle(answer)).acknowledged_records == 100
    await buffer.close()


async def test_a_receipt_that_the_hub_was_never_told_is_not_done_whatever_the_hub_has(
    world: World, hub: FakeHub
) -> None:
    """Otherwise the loss of a machine that was resumed twice would hide behind the records of its double."""
    buffer = await world.open()
    batch = await _sealed(buffer, 100)
    manifest = await buffer.manifest(whole=True)
    buffer._store._database.connection.execute("UPDATE bodies SET raw = x'00'")
    assert await buffer.load([batch.id]) == []
    for n in range(1, 101):
        hub.records[buffer.incarnation, "boiler", n] = {"other": n}
    hub.note(manifest)
    await buffer.settle(hub.answer(buffer.incarnation, manifest))
    manifest = await buffer.manifest(whole=True)
    assert [(each.first, each.last, each.reason) for each in manifest.receipts] == [(1, 100, Reason.DAMAGED)]
    hub.note(manifest)
    await buffer.settle(hub.answer(buffer.incarnation, manifest))
    assert (await buffer.manifest(whole=True)).receipts == []
    await buffer.close()


async def test_a_refusal_of_what_was_never_here_counts_for_nothing(world: World, hub: FakeHub) -> None:
    """Found by the simulation: the forwarder took it for an answer about its parcel, and sent that again at once."""
    buffer = await world.open()
    await buffer.append("boiler", admitted(readings(0, 10)))
    await buffer.seal_due(link_up=True, flush=True)
    manifest = await buffer.manifest(whole=True)
    refusals = [Refusal(b"never seen here.", Refused.NOT_AUTHENTIC)]
    assert (await buffer.settle(hub.answer(buffer.incarnation, manifest, refusals=refusals))).refused == 0
    await buffer.close()


async def _ended_life(world: World, hub: FakeHub, records: int) -> bytes:
    """A life that delivered some records, ended, and of which the buffer keeps no batch any more."""
    buffer = await world.open()
    ended = buffer.incarnation
    await buffer.append("boiler", admitted(readings(0, records)))
    await drain(buffer, hub)
    await buffer.close()
    buffer = await world.open()
    await exchange(buffer, hub)
    world.clock.advance(8 * 86_400)
    await buffer.expire()
    await buffer.close()
    return ended


async def test_of_a_life_that_has_ended_nothing_is_said_to_a_hub_that_knows_it(world: World, hub: FakeHub) -> None:
    await _ended_life(world, hub, 10)
    buffer = await world.open()
    assert (await buffer.manifest(whole=True)).claims == []
    assert (await buffer.status()).streams == []
    await buffer.close()


async def test_a_hub_restored_from_before_a_life_that_has_ended_is_told_of_it_and_its_loss_is_named(
    world: World, hub: FakeHub
) -> None:
    """Agents forgot such lives, so that nothing named what the hub had lost of them."""
    ended = await _ended_life(world, hub, 10)
    buffer = await world.open()
    hub.life = b"life-002"
    hub.records.clear()
    hub.streams.clear()
    await exchange(buffer, hub)
    await buffer.close()  # between learning of the other hub and telling it everything
    buffer = await world.open()
    (claim,) = (await buffer.manifest(whole=True)).claims
    assert (claim.incarnation, claim.head, claim.held, claim.closed) == (ended, 10, [], True)
    await exchange(buffer, hub)
    (receipt,) = (await buffer.manifest(whole=True)).receipts
    assert (receipt.incarnation, receipt.first, receipt.last, receipt.reason) == (ended, 1, 10, Reason.UNRETAINED)
    await drain(buffer, hub)
    assert hub.receipted[ended, "boiler"].to_wire() == [1, 10]
    await buffer.close()


async def test_so_many_lives_that_have_ended_are_remembered_and_no_more(
    world: World, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MAX_FINISHED_STREAMS", 2)
    ended = [await _ended_life(world, hub, 10) for _ in range(4)]
    buffer = await world.open()
    hub.life = b"life-002"
    await exchange(buffer, hub)
    assert [claim.incarnation for claim in (await buffer.manifest(whole=True)).claims] == ended[2:]
    await buffer.close()
