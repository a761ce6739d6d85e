"""Batches of records as bytes: `encode`, `decode` and the dictionaries that both may be given.

A body starts with the codec version and the layout byte, whose highest bit says that a dictionary is needed; then the
first bytes of that dictionary's id follow. The rest are the sections.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from farshore_protocol.columns import grouping, sections
from farshore_protocol.columns.dictionary import Dictionary
from farshore_protocol.columns.history import History
from farshore_protocol.columns.limits import DEFAULT_LIMITS, DICTIONARY_LIMITS, DecodeError, DecodeLimits
from farshore_protocol.columns.plan import Choice, Effort, Plan
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.sections import Sections
from farshore_protocol.columns.shred import decode_fields, encode_fields
from farshore_protocol.columns.values import Columns
from farshore_protocol.columns.vectors import LISTS, Vector, Vectors
from farshore_protocol.columns.writer import Writer

VERSION: Final = 1

_NEEDS_DICTIONARY: Final = 0x80
_CHECK_BYTES: Final = 4
_SAMPLE_RECORDS: Final = 2048
_GROUPING_COST: Final = 1.01
"""Grouping takes time at both ends: it has to save a hundredth."""

_HISTORIES_KEPT: Final = 4

_SURE_CELLS: Final = DEFAULT_LIMITS.max_cells // 16
"""So few values that stand in plain columns are within the limits, whatever encodings they take."""


def encode(
    columns: Columns,
    *,
    effort: Effort = Effort.BALANCED,
    plan: Plan | None = None,
    dictionary: Dictionary | None = None,
) -> bytes:
    """The bytes of a batch. The same arguments (and the same state of the plan) always give the same bytes.

    Args:
        columns: the records.
        effort: how much time to spend.
        plan: the stream's plan, which saves the search for encodings; it is kept up to date here.
        dictionary: the stream's dictionary; decoding will need the same one.

    Raises:
        ValueError: records are nested more than `limits.MAX_DEPTH` deep, hold something that is no `Value`, or make
            more columns or values than a decoder takes.
    """
    history = _history_of(dictionary.content) if dictionary else None
    prefix = history.prefix if history else b""
    plan = plan or Plan()
    if not plan.is_made:
        sample = _make(plan, columns, history)
        if columns.count > _SAMPLE_RECORDS:
            plan.packing = sections.pack(sample, effort, prefix, None)[1]
    written = _write(columns, plan.group_key, plan.choice, history)
    packed, plan.packing = sections.pack(_sections(written), effort, prefix, plan.packing)
    head = bytes((VERSION, packed[0]))
    if dictionary:
        head = bytes((VERSION, packed[0] | _NEEDS_DICTIONARY)) + dictionary.id[:_CHECK_BYTES]
    body = head + packed[1:]
    plan.observe(columns.count, len(body), effort)
    if written.columns > len(columns.fields) or columns.count * len(columns.fields) > _SURE_CELLS:
        decode(body, dictionary=dictionary)  # what nobody can read must not be sealed
    return body


def _make(plan: Plan, columns: Columns, history: History | None) -> Sections:
    """Choose encodings and the grouping on a sample from the middle, which is returned as they make it."""
    middle = max(0, (columns.count - _SAMPLE_RECORDS) // 2)
    sample = columns.slice(middle, middle + _SAMPLE_RECORDS)
    best, smallest = math.inf, Sections(b"", b"", b"")
    plan.is_made = True
    for key in (None, *grouping.likely_keys(sample)):
        choice = Choice()
        written = _shred(sample, key, choice, history)
        size = len(sections.pack(written, Effort.FAST, b"", None)[0]) * (_GROUPING_COST if key else 1)
        if size < best:
            best, smallest, plan.group_key, plan.choice = size, written, key, choice
    return smallest


def _shred(columns: Columns, key: str | None, choice: Choice, history: History | None) -> Sections:
    return _sections(_write(columns, key, choice, history))


def _write(columns: Columns, key: str | None, choice: Choice, history: History | None) -> Writer:
    out = Writer(history)
    out.uint(columns.count)
    if columns.count:
        fields = columns.fields
        if key in fields and grouping.is_key(fields[key]):
            out.uint(1 + list(fields).index(key))
            fields = grouping.group(columns, key)
        else:
            out.uint(0)
        encode_fields(out, fields, choice)
    return out


def _sections(written: Writer) -> Sections:
    return Sections(bytes(written.structure), b"".join(written.text), b"".join(written.planes))


def decode(
    body: bytes,
    *,
    limits: DecodeLimits = DEFAULT_LIMITS,
    dictionary: Dictionary | None = None,
    vectors: Vectors = LISTS,
) -> Columns:
    """The records of a batch. A batch without records has no columns either.

    With other `vectors` than lists, columns of integers and of floats may come as such.

    Raises:
        DecodeError: the bytes are no batch of a known version, need another dictionary, or go over a limit; nothing
            else is ever raised, whatever the bytes are.
    """
    try:
        streams, history = _open(body, limits, dictionary)
        reader = Reader(*streams, limits, history, vectors)
        columns = _read(reader)
        reader.finish()
    except DecodeError:
        raise
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"a value is impossible: {error}") from None
    return columns


def _open(body: bytes, limits: DecodeLimits, dictionary: Dictionary | None) -> tuple[Sections, History | None]:
    if len(body) < 2:
        raise DecodeError(f"a batch of {len(body)} bytes")
    version, layout = body[0], body[1]
    if version != VERSION:
        raise DecodeError(f"codec version {version} is not known here, only {VERSION}")
    if not layout & _NEEDS_DICTIONARY:
        return sections.unpack(layout, memoryview(body)[2:], limits.max_body_bytes, b""), None
    check = body[2 : 2 + _CHECK_BYTES]
    if dictionary is None or dictionary.id[:_CHECK_BYTES] != check:
        given = f"not {dictionary.id.hex()}" if dictionary else "and none is given"
        raise DecodeError(f"the dictionary {check.hex()}… is needed, {given}")
    history = _history_of(dictionary.content)
    rest = memoryview(body)[2 + _CHECK_BYTES :]
    return sections.unpack(layout & ~_NEEDS_DICTIONARY, rest, limits.max_body_bytes, history.prefix), history


def _read(reader: Reader) -> Columns:
    count = reader.bounded(reader.limits.max_records, "the number of records")
    if count == 0:
        return Columns(0, {})
    group_number = reader.uint()
    fields = decode_fields(reader, count)
    if group_number:
        fields = _ungroup(reader, fields, group_number)
    return Columns(count, fields)


def _ungroup(reader: Reader, fields: dict[str, Vector], group_number: int) -> dict[str, Vector]:
    if group_number > len(fields):
        raise reader.fail("the rows are grouped by a column that is not there")
    key = list(fields)[group_number - 1]
    if not grouping.is_key(reader.vectors.plain(fields[key])):
        raise reader.fail("the rows are grouped by a column that is neither text nor integer")
    return grouping.ungroup(fields, key, reader.vectors)


@lru_cache(maxsize=_HISTORIES_KEPT)
def _history_of(content: bytes) -> History:
    """What a dictionary knows. Building it takes as long as decoding its records, so that a few are kept."""
    streams, _ = _open(content, DICTIONARY_LIMITS, None)
    reader = Reader(*streams, DICTIONARY_LIMITS)
    _read(reader)
    return History(reader.leaves, streams.structure + streams.text)
