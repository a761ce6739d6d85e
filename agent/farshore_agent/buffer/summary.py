"""Hourly summaries: what stays of a stream's records when the detail has to go. Pure.

A summary is made when a batch is sealed, because a batch of an earlier life cannot be opened here. It lies beside the
batch in the clear, until the batch is acknowledged or thinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

import msgspec

from farshore_protocol.columns import Columns
from farshore_protocol.event_time import BadTime, event_time_us

HOUR_US: Final = 3_600_000_000
MAX_SERIES: Final = 2_000
"""Hours times fields that one summary may hold; what comes after is only counted in the receipt."""

Key = tuple[int, str]
"""Hour (its start, in microseconds) and field."""


@dataclass(slots=True)
class Series:
    """One field in one hour."""

    count: int
    mean: float
    low: float
    high: float
    last: float

    def add(self, other: Series) -> None:
        """Take in a later one."""
        total = self.count + other.count
        self.mean += (other.mean - self.mean) * other.count / total
        self.count = total
        self.low, self.high, self.last = min(self.low, other.low), max(self.high, other.high), other.last


Summary = dict[Key, Series]

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[int, str, int, float, float, float, float]])


def summarise(columns: Columns, time_field: str | None, arrived_us: int) -> Summary:
    """The summary of some records; those without a time of their own belong to the hour in which they arrived."""
    hours = _hours(columns, time_field, arrived_us)
    summary: Summary = {}
    for name, column in columns.fields.items():
        if name != time_field:
            _add_column(summary, _printable(name), hours, column)
    return summary


def _printable(name: str) -> str:
    """A field's name as the companion stream shows it: MessagePack has no lone surrogates."""
    return name.encode("utf-8", "replace").decode()


def _hours(columns: Columns, time_field: str | None, arrived_us: int) -> list[int]:
    column = columns.fields.get(time_field) if time_field else None
    if column is None:
        return [arrived_us - arrived_us % HOUR_US] * columns.count
    return [_hour(value, arrived_us) for value in column]


def _hour(value: object, arrived_us: int) -> int:
    try:
        at = event_time_us(value)
    except BadTime:
        at = arrived_us
    return at - at % HOUR_US


def _add_column(summary: Summary, name: str, hours: list[int], column: list[Any]) -> None:
    by_hour: dict[int, list[float]] = {}
    for hour, value in zip(hours, column, strict=True):
        if type(value) is float or type(value) is int:
            by_hour.setdefault(hour, []).append(value)
    for hour, values in by_hour.items():
        series = _series(values)
        if series and len(summary) < MAX_SERIES:
            summary[hour, name] = series


def _series(values: list[float]) -> Series | None:
    try:
        numbers = [number for number in map(float, values) if isfinite(number)]
    except OverflowError:
        numbers = []
    if not numbers:
        return None
    mean = sum(number / len(numbers) for number in numbers)
    return Series(len(numbers), mean, min(numbers), max(numbers), numbers[-1])


def joined(summaries: Iterable[Summary]) -> Summary:
    """One summary of several, in the order of their records."""
    whole: Summary = {}
    for summary in summaries:
        for key, series in summary.items():
            if key in whole:
                whole[key].add(series)
            else:
                whole[key] = replace(series)
    return whole


def records_of(summary: Summary) -> Iterator[dict[str, Any]]:
    """The records of the companion stream, by hour and field."""
    for (hour, name), series in sorted(summary.items()):
        yield {
            "ts": datetime.fromtimestamp(hour // 1_000_000, UTC).isoformat(),
            "field": name,
            "count": series.count,
            "mean": series.mean,
            "min": series.low,
            "max": series.high,
            "last": series.last,
        }


def pack(summary: Summary) -> bytes:
    """A summary as bytes, to lie beside its batch."""
    rows = [(hour, name, s.count, s.mean, s.low, s.high, s.last) for (hour, name), s in summary.items()]
    return _ENCODER.encode(rows)


def unpack(raw: bytes | None) -> Summary:
    """Read a packed summary; a damaged one says nothing."""
    try:
        rows = _DECODER.decode(raw) if raw else []
    except msgspec.MsgspecError:
        rows = []
    return {(hour, name): Series(count, mean, low, high, last) for hour, name, count, mean, low, high, last in rows}
