from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.lake.event_times import event_times
from farshore_protocol.columns import Columns
from farshore_protocol.event_time import BadTime, event_time_us

TIMES = st.datetimes(datetime(1960, 1, 1), datetime(2210, 1, 1))  # noqa: DTZ001
TEXTS = st.one_of(
    st.builds(lambda at, zone: at.isoformat() + zone, TIMES, st.sampled_from(["Z", "+00:00", "-03:30", "+0200", ""])),
    st.builds(
        lambda at, end: at.strftime("%Y-%m-%d %H:%M") + end, TIMES, st.sampled_from(["", ":60Z", ":01.1234567Z"])
    ),
    st.sampled_from(["", "now", "2026", "2026-11-23", "2026-11-23T24:00:00Z", "2026-11-23T08Z", "20261123T080000Z"]),
    st.text("0123456789-:TZ .+", max_size=25),
)


def _times(cells: Any) -> list[int | None]:  # noqa: ANN401 - a column in either form
    columns = Columns(len(cells), {"ts": cells})
    return event_times(columns).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]


def _one_by_one(cell: object) -> int | None:
    try:
        return event_time_us(cell)
    except BadTime:
        return None


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_the_quick_way_reads_texts_like_the_protocol(texts: list[object]) -> None:
    assert _times(texts) == [_one_by_one(text) for text in texts]


def test_the_quick_way_is_taken_for_times_with_an_offset() -> None:
    assert _times(["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.5+01:00"]) == [
        int(datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp() * 1e6),
        int(datetime(2026, 11, 23, 7, tzinfo=UTC).timestamp() * 1e6) + 500_000,
    ]


@pytest.mark.parametrize("cell", [1_700_000_000, 1_700_000_000.5, 1_700_000_000_000, None, True, [1], "soon"])
def test_other_cells_are_read_one_by_one(cell: object) -> None:
    assert _times([cell]) == [_one_by_one(cell)]


def test_records_without_the_field_have_no_time() -> None:
    assert event_times(Columns.from_records([{"temp": 1}, {}])).null_count == 2


NUMBERS = st.one_of(
    st.integers(0, 2 * 10**9),
    st.integers(10**12, 2 * 10**12),
    st.integers(10**15, 10**16),
    st.integers(10**18, 9 * 10**18),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(NUMBERS, min_size=1, max_size=20) | st.lists(st.floats(), min_size=1, max_size=20))
def test_times_of_an_array_are_those_of_a_list(numbers: list[float]) -> None:
    assert _times(np.array(numbers)) == _times(numbers)


@given(st.lists(st.integers(1_000_000_000_000, 2_000_000_000_000), min_size=1, max_size=20))
def test_times_of_an_array_in_one_unit(numbers: list[int]) -> None:
    assert _times(np.array(numbers)) == [number * 1000 for number in numbers]
