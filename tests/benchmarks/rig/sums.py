"""A proof for more records than one wants to hash: how many there are, and the exact sum of every numeric field.

With the number of different `seq` it notices what is lost, doubled or altered, as long as errors do not cancel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

SCALES: Final = {
    "seq": 1,
    "ts": 1,
    "temperature_c": 100,
    "humidity_pct": 10,
    "vibration_mm_s": 10_000,
    "supply_v": 1_000,
    "current_a": 100,
    "quality": 1,
}
"""What makes each numeric field of the workload an integer."""

QUERY: Final = "SELECT count(*), count(DISTINCT seq), {sums} FROM {stream}"


def sums_of(records: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Of records whose `seq` are all different."""
    count = len(records)
    columns = {field: np.fromiter((record[field] for record in records), np.float64, count) for field in SCALES}
    sums = {field: int(np.rint(columns[field] * scale).astype(np.int64).sum()) for field, scale in SCALES.items()}
    return {"records": count, "different": count, **sums}


def query_for(stream: str) -> str:
    """The same of a stored stream, as SQL for the hub."""
    terms = (f'sum(CAST(round("{field}" * {scale}) AS BIGINT))' for field, scale in SCALES.items())
    return QUERY.format(sums=", ".join(terms), stream=f'"{stream}"')


def read_row(row: Sequence[Any]) -> dict[str, int]:
    """The answer to that query."""
    return dict(zip(("records", "different", *SCALES), map(int, row), strict=True))
