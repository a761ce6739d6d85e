"""Which rows had which values of UNIQUE columns: how a row that another has replaced is found. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from farshore_agent.tables.application import Found
from farshore_agent.tables.changes import Value
from farshore_agent.tables.schema import TableSchema, Unique

_DIGEST_BYTES: Final = 16


def digests(schema: TableSchema, row: Found) -> Iterator[bytes]:
    """The row's values of each UNIQUE constraint, as digests; one with a NULL collides with nothing."""
    values = {**row.cells, **dict(zip(schema.key, row.key, strict=True))}
    for place, unique in enumerate(schema.uniques):
        held = [values.get(name) for name in unique.columns]
        if None not in held:
            packed = msgspec.msgpack.encode((place, _collated(unique, held)))
            yield hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest()


def _collated(unique: Unique, values: Iterable[Value]) -> list[Value]:
    """Values as their collations compare them: https://www.sqlite.org/datatype3.html#collating_sequences."""
    return [_under(value, name) for value, name in zip(values, unique.collations, strict=True)]


def _under(value: Value, collation: str) -> Value:
    if not isinstance(value, str):
        return value
    if collation.upper() == "NOCASE":
        return "".join(letter.lower() if letter.isascii() else letter for letter in value)
    return value.rstrip(" ") if collation.upper() == "RTRIM" else value
