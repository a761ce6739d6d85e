"""Lines are the same whether a batch is written at once or record by record."""

from __future__ import annotations

import math
from typing import Any

import pytest

from farshore_hub.lake import ndjson
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.rows import rebuild_all, to_table
from farshore_hub.texts import exact_json
from farshore_protocol.columns import Columns
from tests.hub.lake.values import same

PLAIN = {
    "n": 1,
    "x": 20.0,
    "tiny": 5e-324,
    "zero": -0.0,
    "text": 'a "b"\n\u2028é',
    "yes": True,
    "tags": {"$bytes": "eA=="},
}
ODD: list[dict[str, Any]] = [
    {"x": math.inf},
    {"x": math.nan},
    {"raw": b"\0\xff"},
    {"$bytes": "eA=="},
    {"$float": 1.0},
    {'quo"te': 1},
    {"back\\slash": 1},
    {"tab\t": 1},
    {"\x7fdel": 1},
    {"n": 1.5},
    {"tags": "text"},
    {"none": None},
    {"large": 2**70},
    {"half": "\ud800"},
    {"nested": [b"x", {"$text": 1}]},
    {},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_record_is_the_same_however_it_is_written(odd: dict[str, Any]) -> None:
    records = [PLAIN, odd, PLAIN]
    table = to_table(Columns.from_records(records), ColumnMap(), site="north", incarnation=bytes(8), first=1)
    text = b"".join(map(ndjson.lines, table.to_batches())).decode()
    found = [exact_json.loads(line) for line in text.split("\n")[:-1]]
    assert same(found, [record for rows in table.to_batches() for record in rebuild_all(rows)])
    assert same(found, records) or math.isnan(odd.get("x", 0))
