"""Columns of any type, taken apart until only leaves are left.

A column starts with its kind. A column of several kinds starts with 16 + their number, the kinds in ascending order, a
mask that says which cell is of which kind (0, or the number of an earlier equal mask + 1), and then goes on with one
column without gaps for each kind. A column of mappings shreds into a column per key; one of lists into lengths and
either a column per position or one of all items.
"""

from __future__ import annotations

from itertools import chain, compress, islice
from typing import Any, Final

from farshore_protocol.columns.integers import MAX_INT, MIN_INT, are_small, decode_integers, encode_integers
from farshore_protocol.columns.leaves import decode_leaf, encode_leaf
from farshore_protocol.columns.limits import LIST_CELLS, MAPPING_CELLS, MAX_DEPTH
from farshore_protocol.columns.plan import Choice, Path
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.symbols import decode_symbols, encode_symbols
from farshore_protocol.columns.texts import cut, read_text, write_text
from farshore_protocol.columns.values import KIND_OF_TYPE, MISSING, Cell, Columns, Kind
from farshore_protocol.columns.vectors import Vector
from farshore_protocol.columns.writer import Writer

_MIXED: Final = 16
_MAX_POSITIONS: Final = 64
"""Lists of one length up to this get a column per position."""

_NO_VALUES: Final[dict[int, Cell]] = {Kind.NULL: None, Kind.MISSING: MISSING}


def encode_fields(out: Writer, fields: dict[str, list[Cell]], choice: Choice, depth: int = 1) -> None:
    """Write columns with their keys.

    Raises:
        ValueError: mappings and lists are more than MAX_DEPTH deep, there are more columns than a decoder takes, or a
            value is of a type that records do not have.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a record has mappings and lists more than {MAX_DEPTH} deep")
    out.uint(len(fields))
    for key in fields:
        write_text(out, key)
    for key, column in fields.items():
        encode_column(out, column, choice.part(key), depth)


def encode_column(out: Writer, column: list[Any], choice: Choice, depth: int) -> None:
    """Write a column of one or more cells."""
    out.begin_column()
    kinds = _kinds_of(column)
    if len(kinds) == 1:
        out.uint(kinds[0])
        _encode_dense(out, kinds[0], column, choice, depth)
    else:
        _encode_mixed(out, kinds, column, choice, depth)


def _kinds_of(column: list[Any]) -> list[Kind]:
    types = set(map(type, column))
    try:
        kinds = [KIND_OF_TYPE[kind] for kind in types]
    except KeyError as error:
        raise ValueError(f"a record holds a value of type {error.args[0].__name__}") from None
    if int in types:
        integers = column if len(types) == 1 else [cell for cell in column if type(cell) is int]
        if not are_small(integers):
            kinds.append(Kind.BIGINT)
            if all(not MIN_INT <= integer <= MAX_INT for integer in integers):
                kinds.remove(Kind.INT)
    return sorted(kinds)


def _encode_mixed(out: Writer, kinds: list[Kind], column: list[Any], choice: Choice, depth: int) -> None:
    tags = _tags_of(kinds, column)
    out.uint(_MIXED + len(kinds))
    for kind in kinds:
        out.uint(kind)
    if tags in out.masks:
        out.uint(out.masks.index(tags) + 1)
    else:
        out.uint(0)
        encode_symbols(out, tags)
        out.masks.append(tags)
    for tag, kind in enumerate(kinds):
        if kind not in _NO_VALUES:
            cells = list(compress(column, tags.translate(_selector(tag))))
            _encode_dense(out, kind, cells, choice, depth)


def _tags_of(kinds: list[Kind], column: list[Any]) -> bytes:
    """For every cell the place of its kind among `kinds`."""
    tag_of_type = {type_: kinds.index(kind) for type_, kind in KIND_OF_TYPE.items() if kind in kinds}
    if Kind.BIGINT not in kinds:
        return bytes(map(tag_of_type.__getitem__, map(type, column)))
    big = kinds.index(Kind.BIGINT)
    return bytes(
        big if type(cell) is int and not MIN_INT <= cell <= MAX_INT else tag_of_type[type(cell)] for cell in column
    )


def _selector(tag: int) -> bytes:
    return bytes(tag) + b"\1" + bytes(255 - tag)


def _encode_dense(out: Writer, kind: Kind, cells: list[Any], choice: Choice, depth: int) -> None:
    part = choice.part(kind)
    if kind in (Kind.INT, Kind.FLOAT, Kind.STR):
        encode_leaf(out, kind, cells, part)
    elif kind is Kind.BOOL:
        encode_symbols(out, bytes(cells))
    elif kind is Kind.DICT:
        encode_fields(out, Columns.from_records(cells).fields, part, depth + 1)
    elif kind is Kind.LIST:
        _encode_lists(out, cells, part, depth + 1)
    elif kind is not Kind.NULL:
        raw = cells if kind is Kind.BYTES else [_big_to_bytes(cell) for cell in cells]
        encode_integers(out, list(map(len, raw)), part)
        out.text += raw


def _big_to_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _encode_lists(out: Writer, lists: list[list[Any]], choice: Choice, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"a record has mappings and lists more than {MAX_DEPTH} deep")
    lengths = list(map(len, lists))
    encode_integers(out, lengths, choice.part("lengths"))
    if _has_positions(lengths):
        for at, column in enumerate(zip(*lists, strict=True)):
            encode_column(out, list(column), choice.part(at), depth)
    elif any(lengths):
        encode_column(out, list(chain.from_iterable(lists)), choice.part("items"), depth)


def _has_positions(lengths: list[int]) -> bool:
    return 0 < lengths[0] <= _MAX_POSITIONS and lengths.count(lengths[0]) == len(lengths)


def decode_fields(reader: Reader, count: int, path: Path = (), depth: int = 1) -> dict[str, Vector]:
    """Read the columns that `encode_fields` wrote, of `count` (at least one) cells each."""
    size = reader.bounded(reader.limits.max_columns, "the number of columns")
    keys = [read_text(reader) for _ in range(size)]
    fields = {key: decode_column(reader, count, (*path, key), depth) for key in keys}
    if len(fields) < size:
        raise reader.fail("a key stands twice")
    return fields


def decode_column(reader: Reader, count: int, path: Path, depth: int) -> Vector:
    """Read one column: a list, or a vector where all values are integers or all are floats."""
    reader.charge_column(depth)
    code = reader.uint()
    if code > _MIXED:
        return _decode_mixed(reader, code - _MIXED, count, path, depth)
    return _decode_dense(reader, _kind(reader, code), count, path, depth)


def _decode_mixed(reader: Reader, size: int, count: int, path: Path, depth: int) -> list[Any]:
    if not 2 <= size <= len(Kind):
        raise reader.fail(f"a column of {size} kinds")
    kinds = [_kind(reader, reader.uint()) for _ in range(size)]
    mask = _read_mask(reader, count)
    if max(mask) >= size:
        raise reader.fail("a mask names a kind that the column does not have")
    reader.charge_cells(count)
    cells = []
    for tag, kind in enumerate(kinds):
        dense = mask.count(tag)
        cells.append(iter(reader.vectors.plain(_decode_dense(reader, kind, dense, path, depth)) if dense else ()))
    return list(map(next, map(cells.__getitem__, mask)))


def _read_mask(reader: Reader, count: int) -> bytes:
    number = reader.uint()
    if number == 0:
        reader.masks.append(decode_symbols(reader, count))
        return reader.masks[-1]
    if number > len(reader.masks) or len(reader.masks[number - 1]) != count:
        raise reader.fail("an earlier mask is referred to that does not exist or has another length")
    return reader.masks[number - 1]


def _decode_dense(reader: Reader, kind: Kind, count: int, path: Path, depth: int) -> Vector:
    path = (*path, kind)
    if kind in _NO_VALUES:
        reader.charge_cells(count)
        return [_NO_VALUES[kind]] * count
    if kind in (Kind.INT, Kind.FLOAT, Kind.STR):
        return decode_leaf(reader, kind, count, path)
    if kind is Kind.BOOL:
        return list(map(bool, decode_symbols(reader, count)))
    if kind is Kind.DICT:
        reader.charge_cells(MAPPING_CELLS * count)
        fields = decode_fields(reader, count, path, depth + 1)
        return Columns(count, {key: reader.vectors.plain(column) for key, column in fields.items()}).records()
    if kind is Kind.LIST:
        return _decode_lists(reader, count, path, depth + 1)
    raw = cut(reader, decode_integers(reader, count))
    return raw if kind is Kind.BYTES else [int.from_bytes(item, "little", signed=True) for item in raw]


def _decode_lists(reader: Reader, count: int, path: Path, depth: int) -> list[list[Any]]:
    lengths, plain = decode_integers(reader, count), reader.vectors.plain
    if min(lengths) < 0:
        raise reader.fail("a list of negative length")
    total = sum(lengths)
    reader.charge_cells(total + LIST_CELLS * count)
    if _has_positions(lengths):
        columns = [plain(decode_column(reader, count, (*path, at), depth)) for at in range(lengths[0])]
        return [list(items) for items in zip(*columns, strict=True)]
    items = iter(plain(decode_column(reader, total, (*path, "items"), depth)) if total else ())
    return [list(islice(items, length)) for length in lengths]


def _kind(reader: Reader, code: int) -> Kind:
    try:
        return Kind(code)
    except ValueError:
        raise reader.fail(f"unknown kind {code}") from None
