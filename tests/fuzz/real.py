"""Real data for seeds: a few lines of what the demo delivers, and the published vectors."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import farshore_demo
from tests.protocol.vectors import make

_DATA = Path(farshore_demo.__file__).parent / "data"


def lines(name: str, count: int) -> bytes:
    """The first lines of a file of the demo."""
    with gzip.open(_DATA / f"{name}.gz") as file:
        return b"".join(itertools.islice(file, count))


def records(name: str = "air-quality.csv", count: int = 12) -> list[dict[str, Any]]:
    """The first rows of a CSV file of the demo as records with numbers."""
    rows = csv.DictReader(io.StringIO(lines(name, count + 1).decode()))
    return [{key: _typed(cell) for key, cell in row.items()} for row in rows]


def ndjson(count: int = 6) -> bytes:
    """Records as lines of JSON."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records(count=count))


def vector(name: str) -> dict[str, Any]:
    """A published test vector."""
    found: dict[str, Any] = json.loads((make.HERE / f"{name}.json").read_text())
    return found


def _typed(cell: str | None) -> float | str | None:
    if not cell or cell == "NA":
        return None
    try:
        return float(cell) if "." in cell else int(cell)
    except ValueError:
        return cell
