"""The event time of each record: the agent checked it at the door, the batch does not carry it.

The convention stands here alone, so that it can be replaced: the field `ts`, where it reads as an event time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farshore_protocol.columns import Columns
from farshore_protocol.event_time import BadTime, event_time_us, unit_of
from farshore_protocol.hours import END_HOUR, FIRST_HOUR, HOUR_US, OUTSIDE
from farshore_protocol.limits import EARLIEST_EVENT_US, LATEST_EVENT_US

TIME_FIELD: Final = "ts"
TIME_TYPE: Final = pa.timestamp("us", tz="UTC")


def event_times(columns: Columns) -> pa.Array:
    """One event time per record, null where there is none."""
    cells: Any = columns.fields.get(TIME_FIELD)
    if cells is None:
        return pa.nulls(columns.count, TIME_TYPE)
    quick = None
    if isinstance(cells, np.ndarray):
        quick, cells = _from_numbers(cells), cells.tolist()
    elif set(map(type, cells)) == {str}:
        quick = _from_texts(cells)
    if quick is not None:
        return quick
    return pa.array([_event_time(cell) for cell in cells], TIME_TYPE)


def hours_of(times: pa.ChunkedArray) -> dict[int, int]:
    """How many records belong to which hour; those without a time to none, which is counted as outside."""
    known = times.combine_chunks().cast(pa.int64()).drop_null().to_numpy()
    hours = known // HOUR_US
    hours[(hours < FIRST_HOUR) | (hours >= END_HOUR)] = OUTSIDE
    found, counts = np.unique(hours, return_counts=True)
    counted = dict(zip(found.tolist(), counts.tolist(), strict=True))
    if times.null_count:
        counted[OUTSIDE] = counted.get(OUTSIDE, 0) + times.null_count
    return counted


def _from_texts(cells: list[Any]) -> pa.Array | None:
    """The times of ISO 8601 texts that all have an offset, twenty times as fast as one by one; None if that fails."""
    try:
        times = pc.cast(pa.array(cells, pa.string()), TIME_TYPE)
    except (pa.ArrowInvalid, UnicodeEncodeError):
        return None
    bounds = pc.min_max(times.cast(pa.int64())).as_py()
    return times if _is_inside(bounds["min"], bounds["max"]) else None


def _from_numbers(cells: npt.NDArray[Any]) -> pa.Array | None:
    """The times of numbers that are all in one unit; None if they are not, or one is no time."""
    low, high = cells.min().item(), cells.max().item()
    try:
        unit = unit_of(low)
        if unit != unit_of(high) or not _is_inside(event_time_us(low), event_time_us(high)):
            return None
    except BadTime:
        return None
    times, divided = unit
    return pa.array((cells * times // divided).astype(np.int64), TIME_TYPE)


def _is_inside(low_us: int, high_us: int) -> bool:
    return low_us >= EARLIEST_EVENT_US and high_us < LATEST_EVENT_US


def _event_time(cell: object) -> int | None:
    try:
        return event_time_us(cell)
    except BadTime:
        return None
