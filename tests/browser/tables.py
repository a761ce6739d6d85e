"""A merged table in a hub that runs: values that lost, some that wait for somebody, and one that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import select

from farshore_hub.merge.policy import Policy, Rules
from farshore_hub.merged.table import OpenTable, Origin
from farshore_hub.opening import open_hub
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import batches
from tests.hub.merge.shops import change, schema_record

_RULES: Final = Rules(columns={"stock": Policy.MANUAL})


def merge_orders(data_dir: Path, at_us: int) -> None:
    """Merge what two sites would have said, as of that time."""
    with open_hub(data_dir) as hub, writing(hub.engine) as connection:
        table = OpenTable.opened(connection, "orders", _RULES, at_us)
        table.take_in(connection, [schema_record()])
        batch = connection.scalar(select(batches.c.id).limit(1))
        for by, stock, city in ((1, 4, "Ulm"), (2, 5, "Köln")):
            rows = [change("insert", key, at_us + by, city=city, stock=stock, note=f"note {key}") for key in range(120)]
            table.merge(connection, rows, Origin(by, at_us + 10, batch or 0, by * 1_000), at_us)
        if batch:
            odd = change("insert", 500, at_us, city="Bonn", stock="many")
            table.merge(connection, [odd], Origin(1, at_us, batch, 5_000), at_us)
