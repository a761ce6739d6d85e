"""Records as rows of a stream's table, and rows back as records.

Column by column, never record by record: a column of one type becomes an Arrow array in one call. What no column can
hold exactly (an explicit null, an integer over 64 bits, a lone surrogate, a field beyond the bounds of `naming`) goes
to `_rest` as JSON, so that every record can be rebuilt exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farshore_hub.lake.event_times import TIME_TYPE, event_times
from farshore_hub.lake.naming import (
    INCARNATION,
    REST,
    SEQUENCE,
    SITE,
    SYSTEM_COLUMNS,
    TIME,
    ColumnMap,
    ColumnType,
    field_of,
    is_json,
)
from farshore_hub.texts import exact_json
from farshore_protocol.columns import MISSING, Columns, Value
from farshore_protocol.ranges import RangeSet

Cells = list[Any]
Numbers = npt.NDArray[Any]
"""All integers or all floats."""

Rest = dict[int, dict[str, Value]]
"""Per row the fields that no column holds."""

SYSTEM_SCHEMA: Final = pa.schema(
    [
        pa.field(SITE, pa.string()),
        pa.field(INCARNATION, pa.string()),
        pa.field(SEQUENCE, pa.int64()),
        pa.field(TIME, TIME_TYPE),
        pa.field(REST, pa.string()),
    ]
)

ARROW_TYPES: Final = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.BIGINT: pa.int64(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.VARCHAR: pa.string(),
    ColumnType.BINARY: pa.binary(),
    ColumnType.JSON: pa.string(),
}

_MISSING: Final = type(MISSING)
_COLUMN_TYPES: Final[dict[type, ColumnType]] = {
    bool: ColumnType.BOOLEAN,
    int: ColumnType.BIGINT,
    float: ColumnType.DOUBLE,
    str: ColumnType.VARCHAR,
    bytes: ColumnType.BINARY,
    list: ColumnType.JSON,
    dict: ColumnType.JSON,
}
_FITS: Final[dict[ColumnType, Callable[[Any], bool]]] = {
    ColumnType.BIGINT: lambda cell: -(2**63) <= cell < 2**63,
    ColumnType.VARCHAR: lambda cell: not any("\ud800" <= char <= "\udfff" for char in cell),
}


def to_table(columns: Columns, names: ColumnMap, *, site: str, incarnation: bytes, first: int) -> pa.Table:
    """The rows of one batch; `names` grows by the fields and types that it did not know.

    Args:
        columns: the batch's records.
        names: the columns of the stream's table.
        site: the site's name.
        incarnation: the agent life that gave the sequences.
        first: the first record's sequence.
    """
    rest: Rest = {}
    arrays: dict[str, pa.Array] = {}
    for field, cells in columns.fields.items():
        column = _number_column(field, cells, names)
        arrays.update(column or _arrays(field, _plain(cells), names, rest))
    system = {
        SITE: _repeated(site, columns.count),
        INCARNATION: _repeated(incarnation.hex(), columns.count),
        SEQUENCE: pa.array(np.arange(first, first + columns.count), pa.int64()),
        TIME: event_times(columns),
        REST: _rest_array(rest, columns.count),
    }
    return pa.table(system | arrays)


def only(table: pa.Table, first: int, take: RangeSet | None) -> pa.Table:
    """The rows of a batch that starts at sequence `first` whose sequences are in `take`; None takes all."""
    if take is None:
        return table
    wanted = take.clip(first, first + table.num_rows - 1)
    return pa.concat_tables([table.slice(0, 0), *(table.slice(a - first, b - a + 1) for a, b in wanted)])


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows of `tables`, with every column that one of them has."""
    return pa.concat_tables(tables, promote_options="default")


def empty_table(names: ColumnMap) -> pa.Table:
    """No rows, all columns."""
    fields = [pa.field(each.column, ARROW_TYPES[each.type]) for each in names]
    return pa.schema([*SYSTEM_SCHEMA, *fields]).empty_table()


def rebuild(row: Mapping[str, Any]) -> dict[str, Value]:
    """The record that a row of a stream's table was made from, value for value."""
    record: dict[str, Value] = {}
    for column, cell in row.items():
        if cell is not None and column not in SYSTEM_COLUMNS:
            record[field_of(column)] = exact_json.loads(cell) if is_json(column) else cell
    if row[REST] is not None:
        record |= _rest(row[REST])
    return record


def rebuild_all(rows: pa.RecordBatch) -> Iterator[dict[str, Value]]:
    """The records of many rows; as `rebuild`, column by column."""
    fields = []
    for column in rows.schema.names:
        if column not in SYSTEM_COLUMNS:
            cells = rows.column(column).to_pylist()
            fields.append((field_of(column), _values(cells) if is_json(column) else cells))
    for at, rest in enumerate(rows.column(REST).to_pylist()):
        record = {field: cells[at] for field, cells in fields if cells[at] is not None}
        yield record if rest is None else record | _rest(rest)


def _rest(text: str) -> dict[str, Value]:
    return cast("dict[str, Value]", exact_json.loads(text))


def _values(cells: Cells) -> Cells:
    return [None if cell is None else exact_json.loads(cell) for cell in cells]


def _repeated(text: str, count: int) -> pa.Array:
    # The scalar of an array: making one any other way looks for pandas on the disk every time.
    return pa.repeat(pa.array([text], pa.string())[0], count)


def _number_column(field: str, cells: Cells | Numbers, names: ColumnMap) -> dict[str, pa.Array]:
    """The column of a field that is an array of numbers already; none where it is not, or has no column."""
    if not isinstance(cells, np.ndarray):
        return {}
    kind = _COLUMN_TYPES[float if cells.dtype.kind == "f" else int]
    column = names.column_of(field, kind)
    return {column: pa.array(cells, ARROW_TYPES[kind])} if column else {}


def _plain(cells: Cells | Numbers) -> Cells:
    return cells.tolist() if isinstance(cells, np.ndarray) else cells


def _arrays(field: str, cells: Cells, names: ColumnMap, rest: Rest) -> Iterator[tuple[str, pa.Array]]:
    """The columns of one field: one, unless its values have several types."""
    types = set(map(type, cells))
    if type(None) in types:
        _put_aside(field, cells, [at for at, cell in enumerate(cells) if cell is None], rest)
    kinds = {_COLUMN_TYPES[each] for each in types & _COLUMN_TYPES.keys()}
    mixed = len(kinds) > 1
    for kind in sorted(kinds):
        own = cells
        if mixed or _MISSING in types:
            own = [cell if _COLUMN_TYPES.get(type(cell)) is kind else None for cell in cells]
        column = names.column_of(field, kind)
        if column is None:
            _put_aside(field, own, [at for at, cell in enumerate(own) if cell is not None], rest)
        else:
            yield column, _array(field, kind, own, rest)


def _array(field: str, kind: ColumnType, cells: Cells, rest: Rest) -> pa.Array:
    if kind is ColumnType.JSON:
        cells = [None if cell is None else exact_json.dumps(cell) for cell in cells]
    try:
        return pa.array(cells, ARROW_TYPES[kind])
    except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
        fits = _FITS[kind]
        odd = [at for at, cell in enumerate(cells) if cell is not None and not fits(cell)]
        _put_aside(field, cells, odd, rest)
        return pa.array([None if cell is None or not fits(cell) else cell for cell in cells], ARROW_TYPES[kind])


def _put_aside(field: str, cells: Cells, rows: Sequence[int], rest: Rest) -> None:
    for at in rows:
        rest.setdefault(at, {})[field] = cells[at]


def _rest_array(rest: Rest, count: int) -> pa.Array:
    if not rest:
        return pa.nulls(count, pa.string())
    return pa.array([exact_json.dumps(rest[at]) if at in rest else None for at in range(count)], pa.string())
