"""Records by the hour of their event time: counted as they come, kept beside what holds them, told to the hub.

The hub counts what arrives by the hour too, so that it can say which hours are complete. What lies within one hour says
so by its oldest and newest time; only of the rest the counts are written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from farshore_agent.buffer.connection import Database
from farshore_agent.buffer.shaped import Record, column_of, mappings
from farshore_protocol.event_time import BadTime, event_time_us
from farshore_protocol.hours import HOUR_US, Hours, added, hour_of, to_wire
from farshore_protocol.limits import MAX_HOURS

Runs = list[tuple[int, int]]
"""Hour and count of consecutive records, in their order."""

_TO_THE_HOUR: Final = len("2026-11-26T08")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[int])


def runs_of(records: Sequence[Record], oldest_us: int, newest_us: int, time_field: str | None) -> Runs:
    """The hours of records whose event times lie between two times; usually they are of one hour."""
    if oldest_us // HOUR_US == newest_us // HOUR_US:
        return [(hour_of(oldest_us), len(records))]
    hours = _hours(_values(records, time_field), hour_of(oldest_us))
    return [(hour, sum(1 for _ in run)) for hour, run in groupby(hours)]


def _values(records: Sequence[Record], time_field: str | None) -> list[object]:
    try:
        return column_of(records, time_field or "")
    except (KeyError, AttributeError):
        return [record.get(time_field or "") for record in mappings(records)]


def _hours(values: Iterable[object], otherwise: int) -> Iterator[int]:
    known: dict[str, int] = {}
    for value in values:
        # Thousands of texts in UTC have the same first thirteen letters.
        if type(value) is str and value[_TO_THE_HOUR : _TO_THE_HOUR + 1] == ":" and value[-1] == "Z":
            prefix = value[:_TO_THE_HOUR]
            if prefix not in known:
                known[prefix] = _hour(value, otherwise)
            yield known[prefix]
        else:
            yield _hour(value, otherwise)


def _hour(value: object, otherwise: int) -> int:
    try:
        return hour_of(event_time_us(value))
    except BadTime:
        return otherwise


def cut(runs: Runs, counts: Iterable[int]) -> Iterator[dict[int, int]]:
    """The hours of chunks of so many records each, which the runs are divided into."""
    left = iter(runs)
    hour, rest = 0, 0
    for wanted in counts:
        found: dict[int, int] = {}
        missing = wanted
        while missing:
            if not rest:
                hour, rest = next(left)
            taken = min(rest, missing)
            found[hour] = found.get(hour, 0) + taken
            rest, missing = rest - taken, missing - taken
        yield found


def pack(hours: Hours) -> bytes:
    """Counts by the hour as a column of the file."""
    return _ENCODER.encode(to_wire(hours))


def unpack(raw: bytes | None) -> dict[int, int]:
    """Counts by the hour from a column; empty where they are not known, or damaged."""
    try:
        flat = _DECODER.decode(raw) if raw else []
        return dict(zip(flat[::2], flat[1::2], strict=True))
    except (msgspec.MsgspecError, ValueError):
        return {}


def count(database: Database, stream: int, hours: Hours) -> None:
    """Count records that get a sequence. Inside the transaction that gives it."""
    for hour, more in hours.items():
        database.run("count_hour", stream, hour, more)


def keep(database: Database, query: str, id_: int, hours: Hours, oldest_us: int, newest_us: int) -> None:
    """Write down the hours of a chunk or a batch, if its two times do not tell them and they are known."""
    if oldest_us // HOUR_US != newest_us // HOUR_US and 0 < len(hours) <= MAX_HOURS:
        database.run(query, id_, pack(hours))


def of_chunk(database: Database, chunk: int) -> dict[int, int]:
    """The hours of a chunk; empty where they are not known."""
    return _of_row(database.row("chunk_hours", chunk))


def of_batch(database: Database, batch: int) -> dict[int, int]:
    """The hours of a batch; empty where they are not known."""
    return _of_row(database.row("batch_hours", batch))


def _of_row(row: tuple[int, int, int, bytes | None] | None) -> dict[int, int]:
    if row is None:
        return {}
    records, oldest_us, newest_us, packed = row
    if oldest_us // HOUR_US == newest_us // HOUR_US:
        return {hour_of(oldest_us): records}
    hours = unpack(packed)
    return hours if sum(hours.values()) == records else {}


Parts = Mapping[tuple[int, int], Hours]
"""The hours of ranges of sequences."""


def within(parts: Parts, first: int, last: int) -> dict[int, int]:
    """The hours of a range that is made of some of the parts; empty where they are not known."""
    inside = [hours for (start, end), hours in parts.items() if first <= start and end <= last]
    hours = added(inside)
    return hours if sum(hours.values()) == last - first + 1 else {}
