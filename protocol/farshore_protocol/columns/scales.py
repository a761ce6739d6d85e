"""Floats as integers over a common scale: which scale a column has, and the integers."""

from __future__ import annotations

from typing import Final, NamedTuple

from farshore_protocol.columns import lanes, planes
from farshore_protocol.columns.lanes import Integers
from farshore_protocol.columns.reader import Reader
from farshore_protocol.columns.writer import Writer

DECIMAL: Final = 0
BINARY: Final = 1

_BASES: Final = {DECIMAL: 10, BINARY: 2}
_MAX_EXPONENT: Final = {DECIMAL: 20, BINARY: 52}
_MAX_DIVISOR: Final = 255
_MAX_SCALED: Final = 2.0**53
"""Above it every float is an integer, so that being one says nothing."""

_ROUNDER: Final = 1.5 * 2.0**52
_ROUNDER_BITS: Final = 0x4338_0000_0000_0000
_ROUNDER_TOP: Final = 0x43
_ROUNDER_NEXT: Final = bytes(range(0x30, 0x40))
"""The two highest bytes of a float of that size."""

_MEAN_DIVISORS: Final = (3, 12, 60, 7, 9, 6, 11, 13)
_SAMPLE: Final = 24
_ENOUGH: Final = 0.9
_FEW_UNITS: Final = 16


class Scale(NamedTuple):
    """`divisor` x 10^`exponent`, or x 2^`exponent` if `kind` is BINARY."""

    divisor: int
    kind: int
    exponent: int

    @property
    def value(self) -> float:
        """The scale as a float, exact."""
        return float(self.divisor * _BASES[self.kind] ** self.exponent)


def write_scale(out: Writer, scale: Scale) -> None:
    """Three numbers."""
    for part in scale:
        out.uint(part)


def read_scale(reader: Reader) -> float:
    """The value of the scale that `write_scale` wrote."""
    divisor = reader.bounded(_MAX_DIVISOR, "the divisor of a scale")
    kind = reader.bounded(BINARY, "the kind of a scale")
    exponent = reader.bounded(_MAX_EXPONENT[kind], "the exponent of a scale")
    if divisor == 0:
        raise reader.fail("the divisor of a scale is 0")
    return Scale(divisor, kind, exponent).value


def numerators(values: list[float], scale: float) -> Integers | None:
    """The integers nearest to `values` x `scale`; None if one is no number or too large to be told from an integer."""
    raw = planes.floats_to_bytes("d", _rounded(values, scale))
    return _integers_in(raw) or _large_numerators(values, scale)


def exact_numerators(values: list[float], scale: float) -> Integers | None:
    """The integers of which `values` are exactly the quotients by `scale`, to the bit; None if there are none."""
    rounded = _rounded(values, scale)
    raw = planes.floats_to_bytes("d", rounded)
    integers = _integers_in(raw)
    if integers is not None:
        return integers if _same([(each - _ROUNDER) / scale for each in rounded], values) else None
    integers = _large_numerators(values, scale)
    return integers if integers and _same([each / scale for each in integers.values], values) else None


def _rounded(values: list[float], scale: float) -> list[float]:
    """The products with `scale`, and _ROUNDER more: a float of this size has no bits left for a fraction."""
    return [value * scale + _ROUNDER for value in values]


def _integers_in(raw: bytes) -> Integers | None:
    """What stands in the lowest bits of what `_rounded` has made; None if one is no number or too large."""
    count = len(raw) // lanes.BYTES
    if raw[7::8].count(_ROUNDER_TOP) == count and not raw[6::8].translate(None, _ROUNDER_NEXT):
        return Integers.from_lanes(lanes.plus(raw, lanes.repeated(-_ROUNDER_BITS, count)))
    return None


def _same(left: list[float], right: list[float]) -> bool:
    """Equality of each that tells 0.0 from -0.0 and one NaN from another."""
    return planes.floats_to_bytes("d", left) == planes.floats_to_bytes("d", right)


def _large_numerators(values: list[float], scale: float) -> Integers | None:
    """The same where one is 2^51 or more, or no number."""
    scaled = [value * scale for value in values]
    try:
        nearest = list(map(round, scaled))
    except (ValueError, OverflowError):
        return None
    return Integers(nearest) if max(scaled) < _MAX_SCALED and min(scaled) > -_MAX_SCALED else None


def is_scaled(value: float, scale: float) -> bool:
    """Whether `value` is exactly an integer over `scale`."""
    if not abs(value * scale) < _MAX_SCALED:
        return False
    return same_bits(round(value * scale) / scale, value)


def is_rounded(value: float, scale: float) -> bool:
    """Whether `value` is an integer over `scale`, printed with 15 digits and read again."""
    if not abs(value * scale) < _MAX_SCALED:
        return False
    return same_bits(float(f"{round(value * scale) / scale:.15g}"), value)


def is_near(value: float, scale: float) -> bool:
    """Whether `value` is a few units in the last place from an integer over `scale`."""
    if not abs(value * scale) < _MAX_SCALED / 8:
        return False
    exact, near = planes.to_list("q", planes.floats_to_bytes("d", [value, round(value * scale) / scale]))
    return abs(exact - near) <= _FEW_UNITS


def same_bits(left: float, right: float) -> bool:
    """Equality that tells 0.0 from -0.0 and one NaN from another."""
    return _same([left], [right])


def sample_of(values: list[float]) -> list[float]:
    """A few values from all over the column."""
    return values[:: max(1, len(values) // _SAMPLE)]


def find_decimal(sample: list[float]) -> Scale | None:
    """The smallest power of ten that all of the sample are integers over."""
    scales = (Scale(1, DECIMAL, exponent) for exponent in range(_MAX_EXPONENT[DECIMAL] + 1))
    return next((scale for scale in scales if all(is_scaled(value, scale.value) for value in sample)), None)


def find_binary(sample: list[float]) -> Scale | None:
    """The smallest power of two that all of the sample are integers over, if that is shorter than their bits."""
    finite = [value for value in sample if abs(value) < _MAX_SCALED]
    if len(finite) < len(sample):
        return None
    exponent = max(value.as_integer_ratio()[1].bit_length() - 1 for value in finite)
    if exponent > _MAX_EXPONENT[BINARY] or max(map(abs, finite)) * 2.0**exponent >= _MAX_SCALED / 16:
        return None
    return Scale(1, BINARY, exponent)


def find_near(sample: list[float]) -> Scale | None:
    """The smallest power of ten that most of the sample are close to an integer over."""
    scales = (Scale(1, DECIMAL, exponent) for exponent in range(13))
    enough = _ENOUGH * len(sample)
    return next((scale for scale in scales if sum(is_near(value, scale.value) for value in sample) >= enough), None)


def find_mean(sample: list[float], *, rounded: bool) -> Scale | None:
    """The scale of means of a number of decimals, exact or printed with 15 digits."""
    fits = is_rounded if rounded else is_scaled
    scales = (Scale(divisor, DECIMAL, exponent) for divisor in _MEAN_DIVISORS for exponent in range(4))
    return next((scale for scale in scales if all(fits(value, scale.value) for value in sample)), None)
