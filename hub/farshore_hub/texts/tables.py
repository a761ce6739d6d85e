"""The answer to a query as plain values: JSON has no times, bytes, decimals or NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(table: pa.Table) -> list[list[Any]]:
    """The rows, with every value in a form that JSON has."""
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def table_json(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """`{"columns": …, "rows": …}` piece by piece; the first table says the columns."""
    yield f'{{"columns":{_json(next(tables).column_names)},"rows":['.encode()
    between = ""
    for rows in filter(None, map(rows_of, tables)):
        yield f"{between}{_json(rows)[1:-1]}".encode()
        between = ","
    yield b"]}"


def _json(value: list[Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - a value of any kind, and each kind its line
    """One value: times in ISO 8601, bytes in hex, decimals, NaN and infinities as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, (Decimal, timedelta, UUID)):
        return str(value)
    return repr(value)
