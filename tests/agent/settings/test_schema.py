"""The JSON Schema: an editor that follows it agrees with the agent."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from farshore_agent.errors import SettingsError
from farshore_agent.settings import parse, schema

GOOD = [
    "",
    "state_dir = '/var/lib/x'\naccept_undeclared = false\nmax_streams = 5",
    "[stream_defaults]\ntime_field = false\nmax_age = '30 d'\n[streams.boiler]\npriority = 8\nwhen_full = 'thin'",
    "[buffer]\nmax_bytes = '1 GiB'\nretain_acknowledged = '7 d'\nmax_commit_bytes = 4194304",
    "[seal]\nmax_records = 500\nlinger = '5 s'\nlinger_offline = 600\ndictionary = 'off'",
    "[forward]\nhub = ['hub.example.org:8443', '[::1]:8443']\nbackoff_min = '0.5 s'",
    "[inputs.api]\ntype = 'http'\nlisten = 'unix:/run/x.sock'\nmax_body_bytes = '1 MiB'",
    "[inputs.drop]\ntype = 'folder'\npath = 'drop'\nstream = '{stem}'\nformat = 'csv'\nafter = 'move'\npoll = '250 ms'",
    "[inputs.log]\ntype = 'tail'\npath = '/var/log/x'\nstream = 'log'\nformat = 'ndjson'",
    "[tables.orders]\ndatabase = 'shop.db'\nkey = ['id']\npriority = 7\npoll = '5 s'",
]

BAD = [
    "stat_dir = 'x'",
    "[streams.boiler]\nwhen_full = 'evit'",
    "[streams.boiler]\npriority = 10",
    "[streams.boiler]\ntime_field = true",
    "[streams.boiler]\nmax_age = '3 weeks'",
    "[streams.'Bo/iler']",
    "[buffer]\nmax_bytes = 5",
    "[seal]\nlinger_s = 5",
    "[seal]\nmax_records = '5'",
    "[forward]\nhub = ['hub']",
    "[inputs.a]\ntype = 'htpp'",
    "[inputs.a]\ntype = 'http'",
    "[inputs.a]\ntype = 'http'\nlisten = '127.0.0.1:80'\nport = 80",
    "[inputs.a]\ntype = 'folder'\npath = 'x'\nstream = 's'\nafter = 'burn'",
    "[inputs.a]\ntype = 'tail'\npath = ''\nstream = 's'",
    "[tables.orders]\npoll = '5 s'",
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema()


def test_it_is_a_schema(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", GOOD)
def test_what_the_agent_takes_the_schema_takes(document: dict[str, Any], text: str) -> None:
    parse(text)
    assert [error.message for error in Draft202012Validator(document).iter_errors(tomllib.loads(text))] == []


@pytest.mark.parametrize("text", BAD)
def test_what_the_schema_refuses_the_agent_refuses(document: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text)
    assert not Draft202012Validator(document).is_valid(tomllib.loads(text))


def test_every_key_of_the_file_is_described_under_the_name_that_the_file_uses(document: dict[str, Any]) -> None:
    keys = {key for table in document["$defs"].values() for key in table.get("properties", {})}
    assert {"linger", "retain_acknowledged", "backoff_max", "max_age", "poll", "listen"} <= keys
    assert not {key for key in keys if key.endswith("_s")}
