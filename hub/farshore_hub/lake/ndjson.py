"""Rows of a stream's table as lines of JSON, each the record that the site sent.

Whole batches at a time by msgspec, where what they hold is plain and each field has one column; one record after the
other by `exact_json` where JSON cannot say it, or the record has what no column holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from farshore_hub.lake.naming import REST, SYSTEM_COLUMNS, field_of, is_json
from farshore_hub.lake.rows import rebuild_all
from farshore_hub.texts import exact_json

_ENCODER: Final = msgspec.json.Encoder()
_ODD_FIELD: Final = re.compile(r'^\$|["\\\x00-\x1f]')
"""One that could be taken for a key that says what JSON cannot, or is escaped in JSON, which msgspec leaves to us."""


def lines(rows: pa.RecordBatch) -> bytes:
    """The records of these rows, a line each."""
    names = [name for name in rows.schema.names if rows.column(name).null_count < rows.num_rows]
    held = [name for name in names if name not in SYSTEM_COLUMNS]
    fields = tuple(map(field_of, held))
    if REST in names or len(set(fields)) < len(fields) or not all(_is_plain(name, rows.column(name)) for name in held):
        return "".join(f"{exact_json.dumps(record)}\n" for record in rebuild_all(rows)).encode()
    if not held:
        return b"".join([b"{}\n"] * rows.num_rows)
    record = _record_type(fields)
    text: bytes = _ENCODER.encode_lines(list(map(record, *(_cells(name, rows.column(name)) for name in held))))
    return text


@lru_cache(maxsize=16)
def _record_type(fields: Sequence[str]) -> type[msgspec.Struct]:
    """What is null is missing: the default, and not written."""
    return msgspec.defstruct(
        "Record",
        [(f"f{at}", Any, None) for at in range(len(fields))],
        rename={f"f{at}": field for at, field in enumerate(fields)},
        omit_defaults=True,
    )


def _is_plain(name: str, cells: pa.Array) -> bool:
    if _ODD_FIELD.search(field_of(name)) or pa.types.is_binary(cells.type):
        return False
    return not pa.types.is_floating(cells.type) or pc.all(pc.is_finite(cells)).as_py() is not False


def _cells(name: str, cells: pa.Array) -> list[Any]:
    values: list[Any] = cells.to_pylist()
    if not is_json(name):
        return values
    return [None if value is None else msgspec.Raw(value.encode()) for value in values]
