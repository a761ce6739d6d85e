"""The demo's data: three real series, and what the hub must hold of each in the end, record by record."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Final

Record = dict[str, object]

_SITE_HOUR: Final = ("year", "month", "day", "hour")


@dataclass(frozen=True, slots=True)
class Source:
    """One site's series.

    Attributes:
        site: the site's name.
        stream: the stream's name.
        records: what the hub must hold in the end, in order.
    """

    site: str
    stream: str
    records: list[Record]


def air_quality() -> Source:
    """Hourly readings with missing values."""
    rows = csv.DictReader(io.StringIO(_text("air-quality.csv.gz")))
    return Source("airport", "air-quality", [_reading(row) for row in rows])


def machine_temperature() -> Source:
    """A machine's temperature."""
    rows = csv.DictReader(io.StringIO(_text("machine-temperature.csv.gz")))
    records: list[Record] = [{"timestamp": row["timestamp"], "value": float(row["value"])} for row in rows]
    return Source("factory", "machine-temperature", records)


def access_log() -> Source:
    """A web server's log."""
    lines = _text("access.log.gz").splitlines()
    return Source("webshop", "access-log", [{"message": line} for line in lines])


def portions(records: list[Record], size: int) -> Iterator[list[Record]]:
    """The records in pieces of at most `size`."""
    waiting = iter(records)
    while piece := list(islice(waiting, size)):
        yield piece


def _text(name: str) -> str:
    return gzip.decompress((files("farshore_demo") / "data" / name).read_bytes()).decode()


def _reading(row: dict[str, str]) -> Record:
    year, month, day, hour = (int(row[key]) for key in _SITE_HOUR)
    reading: Record = {"ts": f"{year}-{month:02}-{day:02}T{hour:02}:00:00Z"}
    for key, cell in row.items():
        if key != "No" and key not in _SITE_HOUR:
            reading[key] = _typed(cell)
    return reading


def _typed(cell: str) -> object:
    if cell == "NA":
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
