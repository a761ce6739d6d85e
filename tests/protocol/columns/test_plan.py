"""A plan spares the search, renews itself, and never changes what comes back."""

from __future__ import annotations

import pytest

from farshore_protocol.columns import Columns, Effort, Plan, decode, encode
from farshore_protocol.columns.plan import (
    COPY_LASTS_BATCHES,
    COPY_LASTS_RECORDS,
    MIN_BATCHES_BETWEEN,
    RENEW_AFTER_BATCHES,
)
from tests.protocol.columns.test_round_trip import sensor


@pytest.mark.parametrize("effort", list(Effort))
def test_a_plan_lasts_a_number_of_batches(effort: Effort) -> None:
    plan = Plan()
    columns = Columns.from_records(sensor(10))
    for _ in range(RENEW_AFTER_BATCHES[effort] - 1):
        encode(columns, effort=effort, plan=plan)
        assert plan.is_made
    encode(columns, effort=effort, plan=plan)
    assert not plan.is_made
    encode(columns, effort=effort, plan=plan)
    assert plan.is_made


def test_a_plan_is_renewed_when_batches_become_much_larger() -> None:
    plan = Plan()
    even = Columns.from_records([{"a": 1}] * 50)
    for _ in range(MIN_BATCHES_BETWEEN[Effort.FAST]):
        encode(even, effort=Effort.FAST, plan=plan)
    assert plan.is_made
    encode(Columns.from_records([{"a": at * at * 7919 % 10_007} for at in range(50)]), effort=Effort.FAST, plan=plan)
    assert not plan.is_made


def test_following_a_plan_costs_few_bytes() -> None:
    plan = Plan()
    encode(Columns.from_records(sensor(200, seed=1)), plan=plan)
    later = Columns.from_records(sensor(200, seed=2))
    planned = encode(later, plan=plan)
    assert len(planned) < 1.05 * len(encode(later))
    assert decode(planned) == later


def test_a_plan_for_one_set_of_keys_serves_another() -> None:
    plan = Plan()
    encode(Columns.from_records([{"key": f"k{at % 3}", "n": at} for at in range(50)]), plan=plan)
    other = Columns.from_records([{"key": at, "m": str(at)} for at in range(50)])
    assert decode(encode(other, plan=plan)) == other


def test_a_copy_is_the_same_plan_goes_its_own_way_and_is_soon_made_anew() -> None:
    plan, columns = Plan(), Columns.from_records(sensor(100))
    encode(columns, plan=plan)
    copied = plan.copy()
    assert encode(columns, plan=copied) == encode(columns, plan=plan)
    while copied.is_made:
        encode(columns, plan=copied)
    assert plan.is_made
    assert encode(columns, plan=copied) == encode(columns, plan=Plan())


def test_a_copy_serves_a_few_batches_or_a_few_records_whichever_is_less() -> None:
    few, many, plan = Columns.from_records(sensor(10)), Columns.from_records(sensor(COPY_LASTS_RECORDS // 2)), Plan()
    encode(few, plan=plan)
    for columns, batches in ((few, COPY_LASTS_BATCHES - 1), (many, 2)):
        copied = plan.copy()
        lasted = [copied.is_made for _ in range(batches) if encode(columns, plan=copied)]
        assert lasted == [True] * (batches - 1) + [False]


@pytest.mark.parametrize("effort", [Effort.BALANCED, Effort.SMALL])
def test_compressors_that_are_chosen_on_a_sample_are_good_for_the_whole_batch(effort: Effort) -> None:
    columns, plan = Columns.from_records(sensor(5_000)), Plan()
    body = encode(columns, effort=effort, plan=plan)
    plan.packing = None  # so that all are tried on the whole batch
    assert len(body) <= 1.002 * len(encode(columns, effort=effort, plan=plan))
    assert decode(body) == columns
