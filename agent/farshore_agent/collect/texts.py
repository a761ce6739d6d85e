"""Admission of JSON text: lines of objects (NDJSON), or one array of them.

Pure. Memory is bounded before a decoder runs. Of a key that stands twice in one object the last value counts, as is
usual for JSON.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farshore_agent.buffer.model import Admitted, Refused
from farshore_agent.collect.admit import (
    Read,
    TooMuch,
    admit,
    check_bytes,
    check_count,
    one_by_one,
)
from farshore_agent.collect.form import NotAdmitted, are_sound, check_record
from farshore_agent.collect.shapes import Shapes
from farshore_agent.collect.times import bounds_of
from farshore_agent.collect.why import raw_text, read_leniently, why_not
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import MAX_RECORD_BYTES, MIB

MAX_CALL_MEMORY_BYTES: Final = 144 * MIB
"""What the values of one body may take in memory, which can be thirty times their text. A single record takes less."""

_CONTAINER_BYTES: Final = 200
"""A list or an object, about; one that is empty takes a third."""

_VALUE_BYTES: Final = 60
"""A short text with its place in a list; numbers take less."""

_BOM: Final = b"\xef\xbb\xbf"
_RECORD: Final = msgspec.json.Decoder(dict[str, Any])
_RECORDS: Final = msgspec.json.Decoder(list[dict[str, Any]])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SHAPES: Final = Shapes()
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def admit_ndjson(body: bytes, policy: StreamPolicy, now_us: int, *, first_line: int = 1) -> Admitted:
    """Admit lines of JSON objects. Blank lines count as lines and are no records.

    Raises:
        TooMuch: more than MAX_CALL_RECORDS lines, or values of more than MAX_CALL_MEMORY_BYTES.
    """
    _check_memory(body)
    body = body.removeprefix(_BOM)
    check_count(body.count(b"\n"))
    lines = body.removesuffix(b"\n").split(b"\n")
    longest = max(map(len, lines))
    shaped = _shaped(body, lines, policy, now_us) if longest <= MAX_RECORD_BYTES else None
    if shaped is not None:
        return shaped
    if longest <= MAX_RECORD_BYTES:
        admitted = _in_bulk(_decoded_lines(body, lines), policy, now_us, size=len(body), longest=longest)
        if admitted is not None:
            return admitted
    numbered = ((number, line.strip()) for number, line in enumerate(lines, first_line))
    return one_by_one(((number, line, _reader(line)) for number, line in numbered if line), policy, now_us)


def admit_json(body: bytes, policy: StreamPolicy, now_us: int) -> Admitted:
    """Admit a JSON array of objects, or one object. A refused one's line is its place in the array, from 1.

    An array that cannot be taken apart is refused as a whole; with NDJSON the other lines would have been kept.

    Raises:
        TooMuch: more than MAX_CALL_RECORDS records, or values of more than MAX_CALL_MEMORY_BYTES.
    """
    _check_memory(body)
    body = body.removeprefix(_BOM).strip()
    if body[:1] != b"[":
        return one_by_one([(1, body, _reader(body))], policy, now_us)
    try:
        items = list(map(bytes, _ITEMS.decode(body)))
    except _UNREADABLE:
        return _leniently(body, policy, now_us)
    check_count(len(items))
    longest = max(map(len, items), default=0)
    if longest <= MAX_RECORD_BYTES:
        admitted = _in_bulk(_decoded_array(body), policy, now_us, size=len(body), longest=longest)
        if admitted is not None:
            return admitted
    return one_by_one(((place, item, _reader(item)) for place, item in enumerate(items, 1)), policy, now_us)


def _leniently(body: bytes, policy: StreamPolicy, now_us: int) -> Admitted:
    """An array that only a lenient reader takes apart: judged item by item; one that none can is refused whole."""
    try:
        items = read_leniently(body)
    except NotAdmitted as error:
        return Admitted([], 0, 0, 0, [Refused(1, error.field, error.why, raw_text(body))])
    return admit(items if isinstance(items, list) else [items], policy, now_us)


def _check_memory(body: bytes) -> None:
    if len(body) <= MAX_RECORD_BYTES:
        return
    containers, others = body.count(b"{") + body.count(b"["), body.count(b",")
    if containers * _CONTAINER_BYTES + others * _VALUE_BYTES > MAX_CALL_MEMORY_BYTES:
        raise TooMuch(f"{containers} lists and objects and {others} more values at once: send them in parts")


def _shaped(body: bytes, lines: list[bytes], policy: StreamPolicy, now_us: int) -> Admitted | None:
    """All lines when they are of a known shape and nothing is wrong with them."""
    records = _SHAPES.decode_lines(lines, body)
    bounds = bounds_of(records, policy.time_field, now_us) if records else None
    return Admitted(records, *bounds, len(body), []) if records and bounds else None


def _decoded_lines(body: bytes, lines: list[bytes]) -> list[dict[str, Any]] | None:
    try:
        records = _RECORD.decode_lines(body)
    except _UNREADABLE:
        return None
    # The decoder does not heed line ends: two objects in one line, or one in two, must not pass.
    return records if len(records) == len(lines) - sum(1 for line in lines if not line.strip()) else None


def _decoded_array(body: bytes) -> list[dict[str, Any]] | None:
    try:
        return _RECORDS.decode(body)
    except _UNREADABLE:
        return None


def _in_bulk(
    records: list[dict[str, Any]] | None, policy: StreamPolicy, now_us: int, *, size: int, longest: int
) -> Admitted | None:
    """All of them, or None when they have to be looked at one by one."""
    if not records or not are_sound(records, longest_bytes=longest):
        return None
    bounds = bounds_of(records, policy.time_field, now_us)
    return None if bounds is None else Admitted(records, *bounds, size, [])


def _reader(text: bytes) -> Read:
    def read() -> tuple[dict[str, Any], int]:
        check_bytes(len(text))
        try:
            return check_record(_RECORD.decode(text)), len(text)
        except _UNREADABLE as error:
            raise why_not(text, error) from None

    return read
