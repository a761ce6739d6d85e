"""Records that try to be difficult, and equality that sees every difference."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

from farshore_protocol.columns import Value


def same(left: object, right: object) -> bool:
    """Equality of values and types, to the last bit of a float."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def float_of_bits(bits: int) -> float:
    """The float with these 64 bits: every NaN with its payload."""
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


FLOATS = st.one_of(
    st.floats(),
    st.integers(0, 2**64 - 1).map(float_of_bits),
    st.integers(-(10**6), 10**6).map(lambda number: number / 100),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e22, 1 / 3, 868.2999877929688]),
)
INTEGERS = st.one_of(
    st.integers(-1000, 1000),
    st.integers(),
    st.sampled_from([2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, 10**40, -(10**40)]),
)
# Characters of every category, lone surrogates (Cs) included.
TEXTS = st.one_of(
    st.text(st.characters(), max_size=12),
    st.sampled_from(["", "007", "12", "-5", "\n", "a/b", "1.2.3.4", "2024-01-02T03:04:05Z", "2024-13-02 03:04:05"]),
    st.datetimes().map(lambda time: time.isoformat(" ")),
    st.binary(min_size=4, max_size=4).map(bytes.hex),
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS, st.binary(max_size=8))


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=4))


VALUES: st.SearchStrategy[Value] = st.recursive(SCALARS, _nested, max_leaves=5)
KEYS = st.one_of(st.sampled_from(["a", "b", "c", "", "\n", "a.b"]), st.text(st.characters(), max_size=4))
ANY_RECORDS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=16)


@st.composite
def typed_records(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records as sensors make them: the same keys, one type each, few different values in some."""
    count = draw(st.integers(1, 60))
    kinds = [FLOATS, INTEGERS, TEXTS, st.booleans(), st.none() | INTEGERS, st.integers(-(2**63), 2**63 - 1)]
    columns = {}
    for key in "abcd":
        kind = draw(st.sampled_from(kinds))
        pool = draw(st.lists(kind, min_size=1, max_size=8))
        columns[key] = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


RECORDS = ANY_RECORDS | typed_records()
