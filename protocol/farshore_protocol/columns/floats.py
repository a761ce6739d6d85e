"""Columns of floats, kept to the bit: -0.0 and the payload of a NaN too.

Most floats of sensors are decimals, means of decimals, or multiples of a power of two: k / scale for an integer k.
Those are written as the integers k. Each encoding is one number in the structure, followed by its parameters:

    CONST      8 bytes                          all the same bits
    SCALED     scale, integers                  k / scale
    NEAR       scale, n, integers, units…       the bits of k / scale plus a few units in the last place, but n others
    ROUNDED    scale, integers                  k / scale, printed with 15 digits and read again
    BITS       width, planes                    the bits, of half the width if that is exact
    XOR        width, planes                    each value's bits XOR those of the one before
    TABLE      width, size, planes, integers    the different values, then indices
    ORDERED    width, integers                  the bits as integers that sort as the floats do

A scale is (divisor, kind, exponent): divisor x 10^exponent (kind 0) or 2^exponent (kind 1).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from operator import add, sub, xor
from typing import Final

from farshore_protocol.columns import planes
from farshore_protocol.columns.integers import decode_integers, encode_integers, read_integers, take
from farshore_protocol.columns.plan import Choice
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.scales import (
    Scale,
    exact_numerators,
    find_binary,
    find_decimal,
    find_mean,
    find_near,
    is_near,
    numerators,
    read_scale,
    sample_of,
    write_scale,
)
from farshore_protocol.columns.trial import encode_cheapest
from farshore_protocol.columns.vectors import Vector
from farshore_protocol.columns.writer import Writer

CONST, SCALED, NEAR, ROUNDED, BITS, XOR, TABLE, ORDERED = range(2, 10)

_MAX_UNITS: Final = 64
_MIN_NEAR: Final = 4
"""At most one value in so many may be no neighbour of a decimal."""

_SHORT_DECIMALS: Final = 4
"""Decimals with so few places are taken without looking further."""

_CODES: Final = {4: ("f", "I"), 8: ("d", "Q")}
"""Array type codes of floats and of their bits, by width."""


def encode_floats(out: Writer, values: list[float], choice: Choice) -> None:
    """Write one or more floats."""
    if not choice.picked or not _ATTEMPTS[choice.picked[0]](out, values, choice):
        _search(out, values, choice)


def _search(out: Writer, values: list[float], choice: Choice) -> None:
    sample = sample_of(values)
    decimal = find_decimal(sample)
    sure: list[tuple[int, ...]] = [(CONST,)]
    if decimal and decimal.exponent <= _SHORT_DECIMALS:
        sure.append((SCALED, *decimal))
    for pick in sure:
        choice.picked = pick
        if _ATTEMPTS[pick[0]](out, values, choice):
            return
    scaled = [
        (SCALED, decimal),
        (SCALED, find_binary(sample)),
        (SCALED, find_mean(sample, rounded=False)),
        (NEAR, find_near(sample)),
        (ROUNDED, find_mean(sample, rounded=True)),
    ]
    picks: list[tuple[int, ...]] = [(code, *scale) for code, scale in scaled if scale]
    picks += [(BITS,), (XOR,), (TABLE,), (ORDERED,)]
    encode_cheapest(out, choice, [(pick, _bind(pick[0], values)) for pick in picks])


def _bind(code: int, values: list[float]) -> Callable[[Writer, Choice], bool]:
    return lambda out, choice: _ATTEMPTS[code](out, values, choice)


def _try_const(out: Writer, values: list[float], _choice: Choice) -> bool:
    raw = planes.floats_to_bytes("d", values)
    if raw != raw[:8] * len(values):
        return False
    out.uint(CONST)
    out.planes.append(raw[:8])
    return True


def _try_scaled(out: Writer, values: list[float], choice: Choice) -> bool:
    scale = _scale_of(choice)
    integers = exact_numerators(values, scale.value)
    if integers is None:
        return False
    out.uint(SCALED)
    write_scale(out, scale)
    encode_integers(out, integers, choice.part("integers"))
    return True


def _try_near(out: Writer, values: list[float], choice: Choice) -> bool:
    scale = _scale_of(choice)
    integers = _nearest(values, scale.value)
    units = list(map(sub, _bits(values), _bits(_quotients(integers, scale.value))))
    where = [at for at, unit in enumerate(units) if not -_MAX_UNITS <= unit <= _MAX_UNITS]
    if len(where) * _MIN_NEAR > len(values):
        return False
    for at in where:
        integers[at], units[at] = integers[at - 1] if at else 0, 0
    out.uint(NEAR)
    write_scale(out, scale)
    out.uint(len(where))
    encode_integers(out, integers, choice.part("integers"))
    encode_integers(out, units, choice.part("units"))
    if where:
        encode_integers(out, where, choice.part("where"))
        encode_floats(out, [values[at] for at in where], choice.part("others"))
    return True


def _nearest(values: list[float], scale: float) -> list[int]:
    """The integers nearest to `values` x `scale`, and 0 for what is no number."""
    integers = numerators(values, scale)
    if integers is None:
        return [round(value * scale) if is_near(value, scale) else 0 for value in values]
    return integers.values


def _try_rounded(out: Writer, values: list[float], choice: Choice) -> bool:
    scale = _scale_of(choice)
    integers = numerators(values, scale.value)
    if integers is None or not _same(_print_and_read(_quotients(integers.values, scale.value)), values):
        return False
    out.uint(ROUNDED)
    write_scale(out, scale)
    encode_integers(out, integers, choice.part("integers"))
    return True


def _try_bits(out: Writer, values: list[float], _choice: Choice) -> bool:
    width, raw = _shortest(values)
    out.uint(BITS)
    out.uint(width)
    out.planes += planes.split(raw, width)
    return True


def _try_xor(out: Writer, values: list[float], _choice: Choice) -> bool:
    width, raw = _shortest(values)
    code = _CODES[width][1]
    bits = planes.to_list(code, raw)
    out.uint(XOR)
    out.uint(width)
    out.planes += planes.split(planes.to_bytes(code, bits[:1] + list(map(xor, bits[1:], bits))), width)
    return True


def _try_table(out: Writer, values: list[float], choice: Choice) -> bool:
    width, raw = _shortest(values)
    code = _CODES[width][1]
    bits = planes.to_list(code, raw)
    entries = dict.fromkeys(bits)
    if len(entries) > len(values) * 0.8:
        return False
    index = {entry: at for at, entry in enumerate(entries)}
    out.uint(TABLE)
    out.uint(width)
    out.uint(len(entries))
    out.planes += planes.split(planes.to_bytes(code, list(entries)), width)
    encode_integers(out, list(map(index.__getitem__, bits)), choice.part("indices"))
    return True


def _try_ordered(out: Writer, values: list[float], choice: Choice) -> bool:
    width, raw = _shortest(values)
    bits = planes.to_list(_CODES[width][1], raw)
    sign = 1 << (8 * width - 1)
    if sign in bits:  # -0.0 sorts as 0.0 does
        return False
    out.uint(ORDERED)
    out.uint(width)
    encode_integers(out, [bit if bit < sign else sign - bit for bit in bits], choice.part("integers"))
    return True


_ATTEMPTS: Final[dict[int, Callable[[Writer, list[float], Choice], bool]]] = {
    CONST: _try_const,
    SCALED: _try_scaled,
    NEAR: _try_near,
    ROUNDED: _try_rounded,
    BITS: _try_bits,
    XOR: _try_xor,
    TABLE: _try_table,
    ORDERED: _try_ordered,
}


def _scale_of(choice: Choice) -> Scale:
    return Scale(*choice.picked[1:])


def _quotients(integers: list[int], scale: float) -> list[float]:
    return [integer / scale for integer in integers]


def _print_and_read(values: list[float]) -> list[float]:
    return [float(f"{value:.15g}") for value in values]


def _bits(values: list[float]) -> list[int]:
    return planes.to_list("q", planes.floats_to_bytes("d", values))


def _same(left: list[float], right: list[float]) -> bool:
    return planes.floats_to_bytes("d", left) == planes.floats_to_bytes("d", right)


def _shortest(values: list[float]) -> tuple[int, bytes]:
    """Width and bytes of the values as 32-bit floats if that loses nothing, else as they are."""
    raw = planes.floats_to_bytes("d", values)
    try:
        half = planes.floats_to_bytes("f", values)
    except OverflowError:
        return 8, raw
    return (4, half) if planes.floats_to_bytes("d", planes.floats_to_list("f", half)) == raw else (8, raw)


def decode_floats(reader: Reader, count: int) -> Vector:
    """Read `count` (at least one) floats: a list, or a vector of the reader's kind."""
    reader.charge_cells(count)
    return reader.dispatch(_DECODERS, "float encoding")(reader, count)


def _read_const(reader: Reader, count: int) -> list[float]:
    return planes.floats_to_list("d", reader.plane(8)) * count


def _read_scaled(reader: Reader, count: int) -> Vector:
    scale = read_scale(reader)
    return reader.vectors.quotients(read_integers(reader, count), scale)


def _read_near(reader: Reader, count: int) -> list[float]:
    scale = read_scale(reader)
    patches = reader.bounded(count, "the number of other values")
    near = _bits(_quotients(decode_integers(reader, count), scale))
    units = decode_integers(reader, count)
    values = planes.floats_to_list("d", planes.to_bytes("q", list(map(add, near, units))))
    if patches:
        where = decode_integers(reader, patches)
        if min(where) < 0 or max(where) >= count:
            raise reader.fail("another value is outside its column")
        with reader.nested():
            others = reader.vectors.plain(decode_floats(reader, patches))
        for at, value in zip(where, others, strict=True):
            values[at] = value
    return values


def _read_rounded(reader: Reader, count: int) -> list[float]:
    return _print_and_read(reader.vectors.plain(_read_scaled(reader, count)))


def _read_bits(reader: Reader, count: int) -> Vector:
    width = _read_width(reader)
    return reader.vectors.floats(_CODES[width][0], _read_planes(reader, count, width))


def _read_xor(reader: Reader, count: int) -> list[float]:
    width = _read_width(reader)
    floats, bits = _CODES[width]
    differences = planes.to_list(bits, _read_planes(reader, count, width))
    return planes.floats_to_list(floats, planes.to_bytes(bits, list(accumulate(differences, xor))))


def _read_table(reader: Reader, count: int) -> Vector:
    width = _read_width(reader)
    size = reader.bounded(count, "the size of a table") or 1
    entries = reader.vectors.floats(_CODES[width][0], _read_planes(reader, size, width))
    return take(reader, entries, read_integers(reader, count))


def _read_ordered(reader: Reader, count: int) -> list[float]:
    width = _read_width(reader)
    floats, bits = _CODES[width]
    sign = 1 << (8 * width - 1)
    ordered = decode_integers(reader, count)
    return planes.floats_to_list(
        floats, planes.to_bytes(bits, [value if value >= 0 else sign - value for value in ordered])
    )


_DECODERS: Final[dict[int, Callable[[Reader, int], Vector]]] = {
    CONST: _read_const,
    SCALED: _read_scaled,
    NEAR: _read_near,
    ROUNDED: _read_rounded,
    BITS: _read_bits,
    XOR: _read_xor,
    TABLE: _read_table,
    ORDERED: _read_ordered,
}


def _read_width(reader: Reader) -> int:
    width = reader.uint()
    if width not in _CODES:
        raise reader.fail(f"floats of {width} bytes")
    return width


def _read_planes(reader: Reader, count: int, width: int) -> bytes:
    raw = reader.plane(count * width)
    return planes.interleave([raw[start : start + count] for start in range(0, len(raw), count)], width)
