"""Real records to send, each told from all others by an id, and the content by which they are compared."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

from farshore_demo import sources

Record = dict[str, Any]

_READINGS: Final = sources.air_quality().records
_REQUESTS: Final = [str(record["message"]) for record in sources.access_log().records]
_TEMPERATURES: Final = sources.machine_temperature().records


def canonical(record: Record) -> str:
    """Equal for equal content."""
    return json.dumps(record, sort_keys=True)


def ndjson(records: list[Record]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


class Supply:
    """Never ends, and never gives the same record twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._readings = self._endless(_READINGS)
        self._temperatures = self._endless(_TEMPERATURES)
        self._lines = (f"{line} #{prefix}-{n}" for n, line in enumerate(itertools.cycle(_REQUESTS)))

    def readings(self, count: int) -> list[Record]:
        """Hourly air quality, with the event time in `ts`."""
        return list(itertools.islice(self._readings, count))

    def temperatures(self, count: int) -> list[Record]:
        """A machine's temperature, with the event time in `timestamp`."""
        return list(itertools.islice(self._temperatures, count))

    def lines(self, count: int) -> list[str]:
        """Lines of a web server's log."""
        return list(itertools.islice(self._lines, count))

    def _endless(self, records: list[Record]) -> Iterator[Record]:
        return ({**record, "id": f"{self._prefix}-{n}"} for n, record in enumerate(itertools.cycle(records)))


def as_csv(records: list[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
