"""Columns of 64-bit integers.

Each encoding is one number in the structure, followed by its parameters:

    CONST   value                      all the same
    LINEAR  first, step                an arithmetic progression
    RAW     width, base                distance from the base, unsigned planes
    DELTA   width, first               differences, folded planes
    DELTA2  width, first, second       differences of differences, folded planes
    TABLE   size, integers, integers   the different values in ascending order, then indices
    SCALED  divisor, remainder, …      every value is divisor x another integer column + remainder
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from farshore_protocol.columns import lanes, planes
from farshore_protocol.columns.lanes import Integers
from farshore_protocol.columns.plan import Choice
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.trial import Attempt, encode_cheapest
from farshore_protocol.columns.vectors import Vector
from farshore_protocol.columns.writer import Writer

CONST, LINEAR, RAW, DELTA, DELTA2, TABLE, SCALED = range(2, 9)

MIN_INT: Final = -(1 << 63)
MAX_INT: Final = (1 << 63) - 1

_MIN_REPEATS: Final = 2
"""How often the values of a table have to come on average."""


def encode_integers(out: Writer, values: list[int] | Integers, choice: Choice) -> None:
    """Write one or more integers from -2^63 to 2^63-1."""
    column = values if isinstance(values, Integers) else Integers(values)
    if not choice.picked or not _ATTEMPTS[choice.picked[0]](out, column, choice):
        _search(out, column, choice)


def are_small(values: list[int]) -> bool:
    """Whether all of them are from -2^63 to 2^63-1."""
    try:
        lanes.from_list(values)
    except OverflowError:
        return False
    return True


def _search(out: Writer, column: Integers, choice: Choice) -> None:
    for sure in (CONST, LINEAR):
        choice.picked = (sure,)
        if _ATTEMPTS[sure](out, column, choice):
            return
    encode_cheapest(
        out, choice, [((code,), _bind(_ATTEMPTS[code], column)) for code in (RAW, DELTA, DELTA2, TABLE, SCALED)]
    )


def _bind(attempt: Callable[[Writer, Integers, Choice], bool], column: Integers) -> Attempt:
    return lambda out, choice: attempt(out, column, choice)


def _try_const(out: Writer, column: Integers, _choice: Choice) -> bool:
    if not lanes.are_equal(column.lanes):
        return False
    out.uint(CONST)
    out.sint(lanes.at(column.lanes, 0))
    return True


def _try_linear(out: Writer, column: Integers, _choice: Choice) -> bool:
    if column.count < 3:
        return False
    steps = lanes.differences(column.lanes)
    if steps is None or not lanes.are_equal(steps) or lanes.at(steps, 0) == 0:
        return False
    out.uint(LINEAR)
    out.sint(lanes.at(column.lanes, 0))
    out.sint(lanes.at(steps, 0))
    return True


def _try_raw(out: Writer, column: Integers, _choice: Choice) -> bool:
    base = min(column.values)
    packed = planes.pack_unsigned(lanes.plus(column.lanes, lanes.repeated(-base, column.count)))
    out.uint(RAW)
    out.uint(len(packed))
    out.sint(base)
    out.planes += packed
    return True


def _try_delta(out: Writer, column: Integers, _choice: Choice) -> bool:
    if column.count < 2:
        return False
    steps = lanes.differences(column.lanes)
    if steps is None:
        return False
    packed = planes.pack_signed(steps)
    out.uint(DELTA)
    out.uint(len(packed))
    out.sint(lanes.at(column.lanes, 0))
    out.planes += packed
    return True


def _try_delta2(out: Writer, column: Integers, _choice: Choice) -> bool:
    if column.count < 3:
        return False
    steps = lanes.differences(column.lanes)
    changes = lanes.differences(steps) if steps else None
    if steps is None or changes is None:
        return False
    packed = planes.pack_signed(changes)
    out.uint(DELTA2)
    out.uint(len(packed))
    out.sint(lanes.at(column.lanes, 0))
    out.sint(lanes.at(steps, 0))
    out.planes += packed
    return True


def _try_table(out: Writer, column: Integers, choice: Choice) -> bool:
    entries = sorted(set(column.values))
    is_table_already = entries[-1] - entries[0] == len(entries) - 1
    if is_table_already or len(entries) * _MIN_REPEATS > column.count:
        return False
    index = {entry: at for at, entry in enumerate(entries)}
    out.uint(TABLE)
    out.uint(len(entries))
    encode_integers(out, entries, choice.part("entries"))
    encode_integers(out, list(map(index.__getitem__, column.values)), choice.part("indices"))
    return True


def _try_scaled(out: Writer, column: Integers, choice: Choice) -> bool:
    values = column.values
    first = values[0]
    divisor = math.gcd(*(value - first for value in set(values)))
    if divisor < 2:
        return False
    remainder = first % divisor
    out.uint(SCALED)
    out.uint(divisor)
    out.uint(remainder)
    encode_integers(out, [value // divisor for value in values], choice.part("scaled"))
    return True


_ATTEMPTS: Final[dict[int, Callable[[Writer, Integers, Choice], bool]]] = {
    CONST: _try_const,
    LINEAR: _try_linear,
    RAW: _try_raw,
    DELTA: _try_delta,
    DELTA2: _try_delta2,
    TABLE: _try_table,
    SCALED: _try_scaled,
}


def decode_integers(reader: Reader, count: int) -> list[int]:
    """Read `count` (at least one) integers."""
    plain: list[int] = reader.vectors.plain(read_integers(reader, count))
    return plain


def read_integers(reader: Reader, count: int) -> Vector:
    """The same as a vector of the reader's kind."""
    reader.charge_cells(count)
    return reader.dispatch(_DECODERS, "integer encoding")(reader, count)


def read_small_integers(reader: Reader, count: int) -> Vector:
    """The same for integers that are values of records: an encoder writes none over 64 bits, and keys must not be any.

    Python's hash of an integer is its remainder by 2^61 - 1, so that larger ones could be made to have one hash all.
    """
    values = read_integers(reader, count)
    if isinstance(values, list) and not MIN_INT <= min(values) <= max(values) <= MAX_INT:
        raise reader.fail("an integer of more than 64 bits")
    return values


def _read_const(reader: Reader, count: int) -> Vector:
    return reader.vectors.repeated(reader.sint(), count)


def _read_linear(reader: Reader, count: int) -> Vector:
    first, step = reader.sint(), reader.sint()
    if step == 0:
        raise reader.fail("a progression has step 0")
    return reader.vectors.progression(first, step, count)


def _read_raw(reader: Reader, count: int) -> Vector:
    width = _read_width(reader)
    base = reader.sint()
    return reader.vectors.scaled(reader.vectors.unsigned(reader.plane(count * width), count), 1, base)


def _read_delta(reader: Reader, count: int) -> Vector:
    width = _read_width(reader)
    return reader.vectors.summed(reader.sint(), _read_signed(reader, count - 1, width))


def _read_delta2(reader: Reader, count: int) -> Vector:
    width = _read_width(reader)
    first, second = reader.sint(), reader.sint()
    steps = reader.vectors.summed(second, _read_signed(reader, count - 2, width))
    return reader.vectors.summed(first, steps)


def _read_table(reader: Reader, count: int) -> Vector:
    size = reader.bounded(count, "the size of a table") or 1
    with reader.nested():
        entries = read_integers(reader, size)
        indices = read_integers(reader, count)
    return take(reader, entries, indices)


def take(reader: Reader, entries: Vector, indices: Vector) -> Vector:
    """The entries of a table at the given indices."""
    taken = reader.vectors.taken(entries, indices)
    if taken is None:
        raise reader.fail("an index is outside its table")
    return taken


def _read_scaled(reader: Reader, count: int) -> Vector:
    divisor, remainder = reader.uint(), reader.uint()
    with reader.nested():
        return reader.vectors.scaled(read_integers(reader, count), divisor, remainder)


_DECODERS: Final[dict[int, Callable[[Reader, int], Vector]]] = {
    CONST: _read_const,
    LINEAR: _read_linear,
    RAW: _read_raw,
    DELTA: _read_delta,
    DELTA2: _read_delta2,
    TABLE: _read_table,
    SCALED: _read_scaled,
}


def _read_width(reader: Reader) -> int:
    width = reader.uint()
    if not 1 <= width <= 8:
        raise reader.fail(f"integers of {width} bytes")
    return width


def _read_signed(reader: Reader, count: int, width: int) -> Vector:
    if count < 1:
        raise reader.fail("differences of too few values")
    return reader.vectors.signed(reader.plane(count * width), count)
