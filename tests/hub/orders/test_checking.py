"""Settings against what a site says of itself: everything wrong at once, and nothing that the schema can do to us."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.settings.schema import schema as agents_schema
from farshore_hub.orders.checking import MAX_SCHEMA_BYTES, problems_of
from farshore_hub.orders.layers import Problem, read_layers
from farshore_hub.orders.rendering import Attributes, render
from tests.contracts.steered import SCHEMA

ALL = ("seal", "forward", "inputs", "streams", "buffer", "stream_defaults")


def packed(schema: Any) -> bytes:  # noqa: ANN401 - JSON
    return zstandard.compress(json.dumps(schema).encode())


def checked(text: str, schema: Any = SCHEMA, accepts: tuple[str, ...] = ALL, **secrets: str) -> list[Problem]:  # noqa: ANN401
    who = Attributes("ship-1", {}, dict.fromkeys(secrets, 1))
    made, problems = render(read_layers({"fleet.toml": text}).of("ship-1", {}), who)
    assert not problems
    return problems_of(made, made.with_secrets(secrets), packed(schema), accepts)


def test_what_the_site_would_take_is_no_problem_nor_is_what_its_own_file_says_already() -> None:
    assert checked('[seal]\nlinger = "2 s"\n[inputs.door]\nlisten = ":80"\n') == []
    assert checked('[streams.boiler]\npriority = 3\n[inputs.door]\nlisten = ":80"\n', agents_schema()) == []


def test_everything_that_is_wrong_is_said_with_file_and_key() -> None:
    text = 'colour = 1\n[seal]\nlinger = "2 h"\nmax_record = 3\n[inputs.a]\ntype = "tail"\nlisten = "x"\n'
    found = {(each.file, ".".join(each.at)): each.what for each in checked(text, accepts=(*ALL, "colour"))}
    assert found == {
        ("fleet.toml", "colour"): "is not known to this agent",
        ("fleet.toml", "seal.linger"): '= "2 h": the value does not match "^[0-9]+ s$"',
        ("fleet.toml", "seal.max_record"): "is not known to this agent",
        ("fleet.toml", "inputs.a.listen"): "is not known to this agent",
    }


def test_the_agents_own_schema_says_both_ways_in_which_a_value_can_be_written() -> None:
    [found] = checked("[seal]\nlinger = true\n", agents_schema())
    assert found.at == ("seal", "linger")
    assert "string" in found.what
    assert "number" in found.what


def test_what_the_site_does_not_let_the_hub_change_is_said_with_whom_to_ask() -> None:
    [found] = checked('[seal]\nlinger = "2 s"\n', accepts=("forward",))
    assert (found.at, found.what) == (("seal", "linger"), "may not be changed from here")
    assert "[orders]" in found.remedy


def test_a_site_may_let_the_hub_change_single_keys() -> None:
    text = '[seal]\nlinger = "2 s"\nmax_records = 3\n'
    assert checked(text, accepts=("seal.linger", "seal.max_records")) == []
    assert [each.at for each in checked(text, accepts=("seal.linger",))] == [("seal", "max_records")]


def test_no_problem_shows_a_secret() -> None:
    text = '[forward]\ntoken = "${secret.KEY}"\n[seal]\nlinger = "x${secret.KEY}"\n'
    found = checked(text, KEY="hush-hush-and-more")
    assert len(found) == 2
    assert "hush" not in "".join(map(str, found))
    assert "${secret.KEY}" in str(found[0])


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"properties": {"a": 3}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"anyOf": [{"$ref": "#/$defs/a"}] * 8, "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 8}}},
        {"type": "no type"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_used_is_said_and_harms_nobody(schema: Any) -> None:  # noqa: ANN401 - JSON
    [found] = checked('[seal]\nlinger = "2 s"\n', schema)
    assert found.file == "the site's schema"


def test_a_schema_that_names_an_address_is_not_fetched() -> None:
    assert checked('[seal]\nlinger = "2 s"\n', {"properties": {"seal": {"$ref": "http://127.0.0.1:9/x"}}}) == []


@pytest.mark.parametrize("raw", [b"junk", zstandard.compress(bytes(MAX_SCHEMA_BYTES + 1)), zstandard.compress(b"{")])
def test_bytes_that_are_no_schema_are_said(raw: bytes) -> None:
    who = Attributes("ship-1", {}, {})
    made, _ = render(read_layers({"fleet.toml": "[seal]\n"}).of("ship-1", {}), who)
    [found] = problems_of(made, made.with_secrets({}), raw, ALL)
    assert found.file == "the site's schema"


SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "anyOf", "seal", "pattern", "enum", "$ref", "minimum", "items"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    SCHEMAS, st.sampled_from(["[seal]\nx = nan\n", "seal = 9223372036854775807\n", 'seal = [1979-05-27, "a", {}]\n'])
)
def test_whatever_a_site_calls_its_schema_the_answer_is_problems(schema: Any, text: str) -> None:  # noqa: ANN401 - JSON
    assert isinstance(checked(text, schema), list)
