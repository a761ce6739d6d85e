from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given

from farshore_hub.texts.exact_json import dumps, loads
from farshore_protocol.columns import Value
from tests.hub.lake.values import NESTED, same


@given(NESTED)
def test_a_value_comes_back_as_it_was(value: Value) -> None:
    assert same(loads(dumps(value)), value)


@given(NESTED)
def test_the_text_is_json_that_every_store_takes(value: Value) -> None:
    text = dumps(value)
    json.loads(text)
    text.encode()


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        {"deep": [b"x", {"y": b""}]},
        math.inf,
        "\ud83d\ude00",  # two halves, not the character that JSON would make of them
        {"\ud83d\ude00": 1},
        {"$bytes": "not ours"},
        {"$object": [["$bytes", 1]]},
        {"$oid": "5f0", "more": {"$date": 1}},
    ],
)
def test_what_json_cannot_tell_comes_back_too(value: Value) -> None:
    assert same(loads(dumps(value)), value)


def test_a_nan_keeps_its_bits() -> None:
    odd = struct.unpack(">d", bytes.fromhex("7ff8000000000123"))[0]
    back = loads(dumps(odd))
    assert isinstance(back, float)
    assert struct.pack(">d", back).hex() == "7ff8000000000123"


def test_ordinary_values_are_ordinary_json() -> None:
    assert dumps({"ü": [1, 2.0, None]}) == '{"ü":[1,2.0,null]}'
    assert dumps([{"$oid": "a"}]) == '[{"$oid":"a"}]'
