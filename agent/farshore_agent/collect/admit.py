"""Records come in: what may be stored goes on; what may not is named with line, field and reason, and its text kept.

Pure. Order is kept, and every record that was given is either admitted or refused. Usually all is well, so many records
are looked at in bulk; only when something is wrong is each looked at by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final, cast

import msgspec

from farshore_agent.buffer.model import Admitted, Refused
from farshore_agent.buffer.shaped import columns_of_mappings
from farshore_agent.collect.form import NotAdmitted, are_plain, check_record
from farshore_agent.collect.times import bounds_of, time_of
from farshore_agent.collect.why import RawTexts
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import MAX_BATCH_RECORDS, MAX_RECORD_BYTES

MAX_CALL_RECORDS: Final = MAX_BATCH_RECORDS

_ENCODE: Final = msgspec.json.Encoder().encode
_PACK: Final = msgspec.msgpack.Encoder().encode
_TEXT_PER_PACKED: Final = 6
"""JSON text is at most so many times as long as MessagePack: a control character takes six bytes, as does `false,`."""


Read = Callable[[], tuple[dict[str, Any], int]]
"""Gives a checked record and its size in bytes, or raises NotAdmitted."""


class TooMuch(ValueError):
    """One call carries more than is looked at in one go. Nothing was admitted; send it in parts."""


def admit(values: Iterable[object], policy: StreamPolicy, now_us: int, *, first_line: int = 1) -> Admitted:
    """Admit records that are Python values. They must not be changed until the append has returned.

    Raises:
        TooMuch: more than MAX_CALL_RECORDS.
    """
    given = values if isinstance(values, list) else list(values)
    check_count(len(given))
    records = cast("list[dict[str, Any]]", given) if set(map(type, given)) == {dict} else []
    size = _plain_bytes(records)
    bounds = bounds_of(records, policy.time_field, now_us) if size else None
    if bounds is not None:
        return Admitted(records, *bounds, size, [])
    return one_by_one(((line, value, _reader(value)) for line, value in enumerate(given, first_line)), policy, now_us)


def one_by_one(given: Iterable[tuple[int, object, Read]], policy: StreamPolicy, now_us: int) -> Admitted:
    """Admit or refuse each by itself; `given` has the line, what was given, and how to read it."""
    records: list[dict[str, Any]] = []
    refused: list[Refused] = []
    texts = RawTexts()
    times: list[int] = []
    total = 0
    for line, raw, read in given:
        try:
            record, size = read()
            times.append(time_of(record, policy.time_field, now_us))
        except NotAdmitted as error:
            refused.append(Refused(line, error.field, error.why, texts.keep(raw)))
            continue
        records.append(record)
        total += size
    return Admitted(records, min(times, default=0), max(times, default=0), total, refused)


def check_count(count: int) -> None:
    """Raise TooMuch for more records than one call may carry."""
    if count > MAX_CALL_RECORDS:
        raise TooMuch(f"{count} records at once, at most {MAX_CALL_RECORDS} are taken: send them in parts")


def check_bytes(size: int) -> None:
    """Raise NotAdmitted for a record that is too long."""
    if size > MAX_RECORD_BYTES:
        raise NotAdmitted(f"the record has {size} bytes, at most {MAX_RECORD_BYTES} are allowed")


def _plain_bytes(records: Sequence[dict[str, Any]]) -> int:
    """About the size of plain records as JSON text; 0 when they have to be looked at one by one."""
    if not records:
        return 0
    columns = columns_of_mappings(records)
    if not are_plain(records, columns):
        return 0
    try:
        keys_bytes = len("".join(columns or chain.from_iterable(records)))
        size = len(_PACK(columns)) + keys_bytes * len(records) if columns else len(_PACK(records))
        if size * _TEXT_PER_PACKED > MAX_RECORD_BYTES and max(map(len, map(_ENCODE, records))) > MAX_RECORD_BYTES:
            return 0
    except (TypeError, ValueError, OverflowError):
        return 0
    return size


def _reader(value: object) -> Read:
    def read() -> tuple[dict[str, Any], int]:
        record = check_record(value)
        size = len(_ENCODE(record))
        check_bytes(size)
        return record, size

    return read
