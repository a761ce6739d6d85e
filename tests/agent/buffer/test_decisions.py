"""The buffer's pure parts: chunks, groups, when to seal, what goes, summaries, dictionaries, queries."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore_agent.buffer import Checkpoint, room, seal_policy, summary
from farshore_agent.buffer.chunk import Damaged, Unencodable, checksum, decode_chunk, encode_chunks
from farshore_agent.buffer.group import QueuedAppend, merge, next_group
from farshore_agent.buffer.plans import SMALL_RECORDS, Plans
from farshore_agent.buffer.queries import QUERIES, parse
from farshore_agent.buffer.room import Candidate, Kind
from farshore_agent.buffer.seal_policy import TOGETHER, Circumstances, Due, Tail, Why, due, rest_of, together
from farshore_agent.settings import EffortChoice, SealSettings, StreamSettings, WhenFull
from farshore_protocol.batch import parse_batch
from farshore_protocol.columns import Columns, Effort, Plan, encode
from tests.agent.buffer.world import MIB, SEAL, START_US, FakeHub, World, admitted, drain, policies, readings

KEYS = st.text(st.characters(), max_size=4)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=12)


def exact(value: object) -> object:
    """The value with its types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [exact(each) for each in value]
    return (type(value), math.copysign(1, value) if value == 0 and isinstance(value, float) else 1, value)


@settings(max_examples=40)
@given(records=RECORDS, max_records=st.integers(1, 12))
def test_chunks_give_back_the_records_that_went_in(records: list[dict[str, Any]], max_records: int) -> None:
    back: list[Any] = []
    for chunk in encode_chunks(records, max_records=max_records):
        assert chunk.count <= max_records
        back += decode_chunk(chunk.body, chunk.count).records()
    assert exact(back) == exact(records)


@given(body=st.binary(max_size=60))
def test_rubbish_is_a_damaged_chunk_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Damaged):
        decode_chunk(body, 10_001)


def test_records_without_common_keys_do_not_become_one_wide_chunk() -> None:
    records = [{f"key-{n}-{m}": 1 for m in range(20)} for n in range(500)]
    chunks = list(encode_chunks(records, max_records=10_000))
    assert len(chunks) > 1
    assert [r for c in chunks for r in decode_chunk(c.body, c.count).records()] == records


def test_large_records_become_several_chunks() -> None:
    records = [{"text": "x" * MIB} for _ in range(9)]
    assert [chunk.count for chunk in encode_chunks(records, max_records=100)] == [1] * 9


def test_what_is_no_json_value_is_refused() -> None:
    with pytest.raises(Unencodable):
        list(encode_chunks([{"what": object()}], max_records=10))


def test_the_checksum_covers_which_records_they_are() -> None:
    sums = {
        checksum(b"body", incarnation=b"12345678", stream=stream, first=first, count=count)
        for stream in ("boiler", "pump")
        for first in (1, 2)
        for count in (1, 2)
    }
    assert len(sums) == 8


async def test_one_append_that_cannot_be_stored_does_not_harm_the_others(world: World) -> None:
    buffer = await world.open()
    outcomes = await asyncio.gather(
        buffer.append("boiler", admitted(readings(0, 2))),
        buffer.append("boiler", admitted([{"what": object()}])),
        buffer.append("boiler", admitted(readings(2, 2))),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Exception)
    assert (await buffer.status()).streams[0].head == 4
    await buffer.close()


def queued(stream: str, count: int, size: int, checkpoint: Checkpoint | None = None) -> QueuedAppend:
    done = asyncio.get_running_loop().create_future()
    return QueuedAppend(stream, admitted(readings(0, count)), checkpoint, done, size)


async def test_a_group_holds_what_fits_and_at_least_one() -> None:
    queue = [queued("boiler", 1, 60), queued("pump", 1, 30), queued("boiler", 1, 30)]
    assert next_group(queue, max_bytes=100) == queue[:2]
    assert next_group(queue, max_bytes=10) == queue[:1]
    assert next_group([], max_bytes=10) == []


async def test_a_group_knows_where_each_append_lies_and_the_last_checkpoint() -> None:
    queue = [
        queued("boiler", 2, 1, Checkpoint("a", b"1")),
        queued("pump", 1, 1),
        queued("boiler", 3, 1, Checkpoint("a", b"2")),
    ]
    group = merge(queue, START_US, policies())
    assert group.offsets == [0, 0, 2]
    assert group.checkpoints == {"a": b"2"}
    assert {name: len(each.records) for name, each in group.streams.items()} == {"boiler": 5, "pump": 1}


def tail(**fields: object) -> Tail:
    values: dict[str, Any] = {
        "stream_id": 1, "stream": "boiler", "records": 10, "bytes": 100, "since_us": START_US, "priority": 5,
        "closed": False,
    }  # fmt: skip
    return Tail(**{**values, **fields})


def now(seconds: float = 1, *, link_up: bool = True, flush: bool = False, used: float = 0.1) -> Circumstances:
    return Circumstances(START_US + round(seconds * 1_000_000), link_up, flush, used, max_bytes=8 * 1024 * 1024)


@pytest.mark.parametrize(
    ("of", "at", "why"),
    [
        (tail(), now(), None),
        (tail(), now(5), Why.AGE),
        (tail(), now(5, link_up=False), None),
        (tail(), now(600, link_up=False), Why.AGE),
        (tail(), now(-1), Why.AGE),
        (tail(records=100), now(), Why.COUNT),
        (tail(bytes=64 * 1024), now(), Why.BYTES),
        (tail(closed=True), now(), Why.CLOSED),
        (tail(), now(flush=True), Why.FLUSH),
        (tail(), now(used=0.9), Why.ROOM),
        (tail(records=0), now(flush=True), None),
    ],
)
def test_a_tail_is_sealed_when_it_is_due_and_for_a_reason(of: Tail, at: Circumstances, why: Why | None) -> None:
    assert [each.why for each in due([of], at, SEAL)] == ([why] if why else [])


def test_a_tail_that_is_due_by_count_keeps_what_fills_no_batch() -> None:
    [whole] = due([tail(records=250, since_us=START_US)], now(), SEAL)
    rest = rest_of(whole, 100, 10, SEAL)
    assert rest is not None
    assert rest_of(rest, 100, 10, SEAL) is None


def test_what_would_soon_be_due_by_age_goes_along_with_what_is_due() -> None:
    ages_s = {1: 5, 2: 2.5, 3: 2.4}
    tails = [tail(stream_id=number, since_us=START_US - round(age * 1e6)) for number, age in ages_s.items()]
    assert [(each.tail.stream_id, each.why) for each in due(tails, now(0), SEAL)] == [(1, Why.AGE), (2, Why.COMPANY)]
    assert not due(tails[1:], now(0), SEAL)


@pytest.mark.parametrize(
    ("sizes", "first"),
    [
        ([SEAL.max_records], 1),
        ([10 * SEAL.max_records, 1], 1),
        ([1, SEAL.max_records - 1, 1], 2),
        ([1] * 2 * TOGETHER, TOGETHER),
    ],
)
def test_small_tails_are_sealed_together_up_to_one_full_batch(sizes: list[int], first: int) -> None:
    dues = due([tail(stream_id=number, records=size) for number, size in enumerate(sizes)], now(flush=True), SEAL)
    assert [each.tail.stream_id for each in together(dues, SEAL)] == list(range(first))


async def test_tails_that_are_sealed_together_become_batches_in_one_transaction(world: World) -> None:
    buffer = await world.open()
    for stream in ("one", "two", "three"):
        await buffer.append(stream, admitted(readings(0, 5)))
    commits: list[int] = []

    def count() -> bool:
        commits.append(1)
        return False

    buffer._store._database.connection.set_commit_hook(count)
    assert await buffer.seal_due(link_up=True, flush=True) == 3
    assert len(commits) == 1
    assert [batch.stream for batch in await buffer.waiting(max_bytes=MIB, max_batches=9)] == ["one", "two", "three"]
    await buffer.close()


def test_a_stream_with_little_begins_with_the_plan_of_its_like() -> None:
    plans, few = Plans(), Columns.from_records(readings(0, 20))
    alone = encode(few, plan=plans.of("one", few))
    borrowed = plans.of("two", few)
    assert borrowed.is_made
    assert borrowed is not plans.of("one", few)
    assert encode(few, plan=borrowed) == alone


def test_other_fields_a_large_batch_or_a_plan_that_failed_ask_for_a_plan_of_their_own() -> None:
    plans, few = Plans(), Columns.from_records(readings(0, 20))
    encode(few, plan=plans.of("one", few))
    assert not plans.of("other", Columns.from_records([{"quite": "other"}])).is_made
    assert not plans.of("large", Columns.from_records(readings(0, SMALL_RECORDS + 1))).is_made
    plans.of("poisoned", few)
    plans.forget("poisoned")
    assert not plans.of("poisoned", few).is_made


def test_a_borrowed_plan_that_does_not_fit_is_soon_given_up() -> None:
    smooth = Columns.from_records([{"v": number} for number in range(100)])
    noise = random.Random(0)
    rough = [Columns.from_records([{"v": noise.getrandbits(60)} for _ in range(100)]) for _ in range(6)]
    plans = Plans()
    encode(smooth, plan=plans.of("smooth", smooth))
    for batch in rough:
        encode(batch, plan=plans.of("rough", batch))
    fresh = Plan()
    encode(rough[-1], plan=fresh)
    again = plans.of("rough", rough[-1])
    assert len(encode(rough[-1], plan=again)) <= len(encode(rough[-1], plan=fresh))


def test_appends_go_first_only_where_nothing_but_size_asks_for_sealing() -> None:
    pressing = tail(stream_id=2, bytes=1024 * 1024 + 1)
    for of, at, may_wait in (
        ([tail(records=100)], now(), True),
        ([tail(bytes=64 * 1024)], now(), True),
        ([tail(records=100), pressing], now(), False),
        ([tail(records=100)], now(5), False),
        ([tail(records=100)], now(flush=True), False),
        ([tail(records=100)], now(used=0.9), False),
        ([tail(records=100, closed=True)], now(), False),
    ):
        assert {each.may_wait for each in due(of, at, SEAL)} == {may_wait}


@pytest.mark.parametrize(
    ("choice", "records", "pressed", "link_up", "busy", "effort"),
    [
        (EffortChoice.AUTO, 10, False, True, True, Effort.BALANCED),
        (EffortChoice.AUTO, 10, False, False, True, Effort.SMALL),
        (EffortChoice.AUTO, 50_000, False, True, False, Effort.FAST),
        (EffortChoice.AUTO, 50_000, False, False, True, Effort.FAST),
        (EffortChoice.AUTO, 50_000, False, False, False, Effort.SMALL),
        (EffortChoice.SMALL, 50_000, False, True, True, Effort.SMALL),
        (EffortChoice.SMALL, 50_000, True, True, True, Effort.FAST),
    ],
)
def test_effort_follows_the_backlog_and_the_link(
    choice: EffortChoice, records: int, *, pressed: bool, link_up: bool, busy: bool, effort: Effort
) -> None:
    of = Due(tail(records=records), Why.COUNT, pressed)
    assert seal_policy.effort_for(choice, of, SealSettings(), link_up=link_up, busy=busy) is effort


def candidate(number: int, priority: int, since_us: int, when_full: WhenFull = WhenFull.EVICT) -> Candidate:
    return Candidate(Kind.BATCH, number, number, "s", priority, 1, 9, 1000, since_us, when_full)


CANDIDATES = st.lists(
    st.builds(candidate, st.integers(1, 99), st.integers(0, 9), st.integers(0, 99), st.sampled_from(WhenFull)),
    max_size=12,
)


@given(candidates=CANDIDATES, wanted=st.integers(0, 9_000), below=st.integers(0, 9))
def test_only_what_may_go_goes_lowest_and_oldest_first(candidates: list[Candidate], wanted: int, below: int) -> None:
    chosen = room.choose(candidates, wanted, below=below)
    allowed = [each for each in candidates if each.when_full is not WhenFull.REFUSE and each.priority <= below]
    assert [(each.priority, each.since_us) for each in chosen] == sorted(
        (each.priority, each.since_us) for each in allowed
    )[: len(chosen)]
    assert len(chosen) == len(allowed) or sum(each.size + room.CHUNK_OVERHEAD_BYTES for each in chosen) >= wanted


NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.integers(-1000, 1000), min_size=1, max_size=20)


@given(parts=st.lists(NUMBERS, min_size=1, max_size=4))
def test_summaries_of_parts_make_the_summary_of_the_whole(parts: list[list[float]]) -> None:
    made = [summary.summarise(Columns(len(p), {"temp": list(p)}), None, START_US) for p in parts]
    [record] = summary.records_of(summary.joined(summary.unpack(summary.pack(each)) for each in made))
    values = [float(value) for part in parts for value in part]
    assert (record["count"], record["min"], record["max"]) == (len(values), min(values), max(values))
    assert record["last"] == values[-1]
    assert record["mean"] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_a_summary_leaves_out_what_is_no_number() -> None:
    fields: dict[str, Any] = {"ok": [True], "text": ["1"], "nan": [math.nan], "huge": [10**400], "n": [3]}
    made = summary.summarise(Columns(1, fields), None, START_US)
    assert [name for _, name in made] == ["n"]


async def test_a_stream_of_log_lines_gets_a_dictionary_that_is_stored_before_its_batches(
    world: World, hub: FakeHub
) -> None:
    world.policies = policies(log=StreamSettings())
    buffer = await world.open()
    for n in range(8):
        lines = [
            {
                "line": f"GET /api/v1/items/{n * 40 + m} 200 agent=Mozilla/5.0 (X11; Linux x86_64) ref=https://shop.example/{m}"
            }
            for m in range(40)
        ]
        await buffer.append("log", admitted(lines))
        await buffer.seal_due(link_up=True, flush=True)
    batches = await buffer.waiting(max_bytes=MIB, max_batches=20)
    names = {batch.dictionary for batch in batches} - {None}
    assert len(names) == 1
    _, raws = await buffer.attachments(batches)
    assert [parse_batch(raw).header.count for raw in raws] == [0]
    await drain(buffer, hub)
    assert hub.stored(buffer.incarnation, "log").to_wire() == [1, 320]
    assert (await buffer.attachments(batches))[1] == []
    await buffer.close()


def test_every_query_has_a_name_of_its_own() -> None:
    assert len(QUERIES) > 50
    with pytest.raises(ValueError, match="same name"):
        parse("-- one: a\nSELECT 1;\n-- one: b\nSELECT 2;\n")
