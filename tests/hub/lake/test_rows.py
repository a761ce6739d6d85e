from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.rows import empty_table, joined, only, rebuild, rebuild_all, to_table
from farshore_protocol.columns import Columns
from farshore_protocol.ranges import RangeSet
from tests.hub.lake.values import RECORDS, same

LIFE = bytes(range(8))


def table_of(records: list[dict[str, Any]], names: ColumnMap | None = None, first: int = 1) -> pa.Table:
    return to_table(Columns.from_records(records), names or ColumnMap(), site="north", incarnation=LIFE, first=first)


@given(RECORDS)
@settings(max_examples=30)
def test_every_record_is_rebuilt_exactly(records: list[dict[str, Any]]) -> None:
    table = table_of(records)
    assert same([rebuild(row) for row in table.to_pylist()], records)
    assert same([record for rows in table.to_batches() for record in rebuild_all(rows)], records)


@given(RECORDS, RECORDS)
@settings(max_examples=30)
def test_batches_of_different_shapes_share_a_table(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    names = ColumnMap()
    parts = [table_of(one, names), table_of(other, names)]
    table = joined([empty_table(names), *parts])
    assert table.schema == empty_table(names).schema
    assert same([rebuild(row) for row in table.to_pylist()], one + other)


def test_a_row_says_where_its_record_comes_from() -> None:
    row = table_of([{"ts": "2026-11-23T00:00:00Z"}], first=7).to_pylist()[0]
    assert (row["_site"], row["_incarnation"], row["_seq"]) == ("north", LIFE.hex(), 7)
    assert row["_time"].isoformat() == "2026-11-23T00:00:00+00:00"
    assert row["_rest"] is None


def test_columns_have_the_types_of_their_values() -> None:
    table = table_of([{"b": True, "i": 1, "f": 1.5, "s": "x", "y": b"x", "l": [1], "d": {"k": 1}}])
    types = [pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.string(), pa.string()]
    assert [table.schema.field(name).type for name in ("b", "i", "f", "s", "y", "l:json", "d:json")] == types


def test_explicit_nulls_and_huge_integers_are_kept_aside() -> None:
    table = table_of([{"a": None, "b": 2**64}, {"b": 1}, {}])
    assert table["_rest"].to_pylist() == ['{"a":null,"b":18446744073709551616}', None, None]
    assert table["b"].to_pylist() == [None, 1, None]


@pytest.mark.parametrize(
    ("take", "sequences"),
    [
        (None, [5, 6, 7, 8]),
        (RangeSet.of((1, 5), (7, 7)), [5, 7]),
        (RangeSet.of((8, 100)), [8]),
        (RangeSet.of((1, 4)), []),
    ],
)
def test_only_the_sequences_to_take_are_kept(take: RangeSet | None, sequences: list[int]) -> None:
    table = table_of([{"n": n} for n in range(4)], first=5)
    assert only(table, 5, take)["_seq"].to_pylist() == sequences
