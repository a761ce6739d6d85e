"""The published bodies are read as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from farshore_protocol.columns import Dictionary, decode, floats, integers, texts
from tests.protocol.columns.records import same
from tests.protocol.columns.tagged import from_json, to_json

HERE = Path(__file__).parent.parent / "vectors" / "columns"
CASES = {
    f"{path.stem}: {case['name']}": case
    for path in sorted(HERE.glob("*.json"))
    for case in json.loads(path.read_text())
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_published_body_is_read(case: dict[str, Any]) -> None:
    dictionary = Dictionary(bytes.fromhex(case["dictionary"])) if case["dictionary"] else None
    records = from_json(case["records"])
    assert same(decode(bytes.fromhex(case["body"]), dictionary=dictionary).records(), records)
    assert to_json(records) == case["records"]


@pytest.mark.parametrize("module", [integers, floats, texts], ids=["integers", "floats", "texts"])
def test_every_encoding_has_a_vector(module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2]
    # count, group, fields, size of the key and kind stand before the encoding, each in one byte
    bodies = [bytes.fromhex(case["body"]) for known, case in CASES.items() if known.startswith(f"{name}:")]
    seen = {body[4 + 1 + 5] for body in bodies}
    assert seen == set(module._DECODERS)
