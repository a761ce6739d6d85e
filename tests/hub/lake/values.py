"""Hypothesis strategies for records: whatever JSON can hold, odd names included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FIELDS = st.one_of(
    st.sampled_from(
        ["ts", "temp", "Temp", "TEMP", "_site", "_seq", "a b", "id.orig_h", "a:json", "%41", "", "é", "É", "ß"]
    ),
    st.text(max_size=5),
)
TEXTS = st.one_of(st.text(max_size=20), st.text(st.characters(), max_size=5))  # the second one has lone surrogates
INTEGERS = st.one_of(st.integers(-100, 100), st.integers(-(2**80), 2**80))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
NESTED: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3), max_leaves=8
)
RECORDS = st.lists(st.dictionaries(FIELDS, NESTED, max_size=5), min_size=1, max_size=8)


def same(one: object, other: object) -> bool:
    """Equal in type too: 1, 1.0 and True are three values, and 0.0 is not -0.0."""
    return _typed(one) == _typed(other)


def _typed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return (type(value), value.hex() if isinstance(value, float) else value)
