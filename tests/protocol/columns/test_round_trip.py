"""What is encoded comes back: every value, every type, every bit."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from farshore_protocol.columns import MAX_DEPTH, Columns, Effort, Plan, Value, decode, encode
from tests.protocol.columns.records import RECORDS, float_of_bits, same

EFFORTS = pytest.mark.parametrize("effort", list(Effort))


def round_trip(
    records: list[dict[str, Any]], effort: Effort = Effort.BALANCED, plan: Plan | None = None
) -> list[dict[str, Any]]:
    return decode(encode(Columns.from_records(records), effort=effort, plan=plan)).records()


@given(RECORDS)
def test_any_records_come_back_to_the_bit(records: list[dict[str, Any]]) -> None:
    assert same(round_trip(records), records)


@settings(max_examples=30)
@given(RECORDS)
def test_the_same_records_give_the_same_bytes(records: list[dict[str, Any]]) -> None:
    columns = Columns.from_records(records)
    assert encode(columns) == encode(columns)


@settings(max_examples=40)
@given(RECORDS, RECORDS)
def test_a_plan_made_on_other_records_loses_nothing(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    plan = Plan()
    for records in (first, second, first):
        assert same(round_trip(records, plan=plan), records)


def sensor(count: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {
            "time": f"2024-03-{1 + at // 1440:02d} {at // 60 % 24:02d}:{at % 60:02d}:00",
            "ms": 1_700_000_000_000 + 60_000 * at + draw.choice([0, 0, 1]),
            "device": f"pump-{at % 5}",
            "celsius": round(draw.gauss(20, 3), 2),
            "mean": draw.randrange(1000) / 3,
            "printed_mean": float(f"{draw.randrange(1000) / 3:.15g}"),
            "noisy": draw.randrange(100) * 0.001,
            "tick": draw.randrange(10**6) * 2.0**-22,
            "half": float(draw.randrange(2**11)) / 7 if at % 50 == 0 else draw.randrange(64) / 4,
            "state": draw.choice(["on", "off", "fault"]),
            "firmware": f"v{at % 5}.{(at % 5) * 7}",
            "path": f"/a/{draw.randrange(9)}/b/{draw.randrange(10**6)}.png",
            "trace": draw.randbytes(8).hex(),
            "count": at // 3,
            "label": draw.choice([None, "x", 4, 2.5, True]),
            "nested": {"list": [1, draw.randrange(4)], "items": list(range(at % 3)), "deep": {"k": at % 2 == 0}},
            "blob": draw.randbytes(at % 4),
        }
        for at in range(count)
    ]


@EFFORTS
@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_sensor_records_come_back_at_every_effort(effort: Effort, count: int) -> None:
    records = sensor(count)
    assert same(round_trip(records, effort=effort), records)


@EFFORTS
def test_a_plan_is_followed_from_batch_to_batch(effort: Effort) -> None:
    plan = Plan()
    for seed in range(70):
        records = sensor(30, seed)
        assert same(round_trip(records, effort=effort, plan=plan), records)


def test_a_batch_larger_than_the_planned_sample_comes_back() -> None:
    records = sensor(3000)
    assert same(round_trip(records, effort=Effort.FAST), records)


def test_a_field_that_the_planned_sample_does_not_have_comes_back() -> None:
    records: list[dict[str, Any]] = [{"id": 1, "n": 1}, *({"n": each} for each in range(5_000))]
    assert same(decode(encode(Columns.from_records(records))).records(), records)


def test_missing_is_not_null() -> None:
    records: list[dict[str, Any]] = [{"a": None}, {}, {"b": None}, {"a": 1, "b": 2}, {"a": None, "b": None}]
    assert round_trip(records) == records


def test_true_one_and_one_point_zero_stay_apart() -> None:
    records: list[dict[str, Any]] = [{"a": value} for value in (True, 1, 1.0, False, 0, 0.0, -0.0, None, "1")] * 9
    assert same(round_trip(records), records)


def test_the_payload_of_a_nan_stays() -> None:
    records = [{"a": float_of_bits(0x7FF8000000000000 + at)} for at in range(20)]
    records += [{"a": float_of_bits(0xFFF0000000000001)}, {"a": -0.0}, {"a": 0.5}]
    assert same(round_trip(records), records)


@pytest.mark.parametrize("records", [[], [{}], [{}] * 3, [{"a": {}}] * 2, [{"a": []}] * 2, [{"a": [[]]}, {"a": [{}]}]])
def test_nothing_comes_back_as_nothing(records: list[dict[str, Any]]) -> None:
    assert round_trip(records) == records


def nested_list(depth: int) -> Value:
    value: Value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_the_deepest_allowed_record_comes_back() -> None:
    records: list[dict[str, Any]] = [{"a": nested_list(MAX_DEPTH - 1)}]
    assert round_trip(records) == records


@pytest.mark.parametrize("depth", [MAX_DEPTH, 500])
def test_a_deeper_record_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="more than 64 deep"):
        encode(Columns.from_records([{"a": nested_list(depth)}]))


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="type set"):
        encode(Columns.from_records([{"a": {1}}]))  # type: ignore[dict-item]


def test_rows_in_turn_become_smaller_when_grouped() -> None:
    draw = random.Random(1)
    walks = {f"device-{at}": at * 1000 for at in range(20)}
    records: list[dict[str, Value]] = []
    for at in range(2000):
        device = f"device-{at * 7 % 20}"
        walks[device] += draw.choice([-1, 0, 1])
        records.append({"device": device, "value": walks[device]})
    by_turns = [{**record, "device": [record["device"]]} for record in records]  # no text, so no key
    assert len(encode(Columns.from_records(records))) < 0.7 * len(encode(Columns.from_records(by_turns)))
    assert round_trip(records) == records
