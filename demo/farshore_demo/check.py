"""The last word of the demo: every stored record against its source, by content."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from farshore_demo.sources import Record, Source


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison found. `missing`, `doubled` and `foreign` are 0 when all is well."""

    source: Source
    stored: int
    missing: int
    doubled: int
    foreign: int

    @property
    def right(self) -> bool:
        """Whether every record arrived exactly once and unchanged."""
        return not (self.missing or self.doubled or self.foreign)


def compare(source: Source, exported: str) -> Finding:
    """Hold what the hub exported (NDJSON) against what the source gave.

    A changed record counts twice: its original is missing and its copy is foreign.
    """
    given = Counter(_canonical(record) for record in source.records)
    stored = Counter(_canonical(json.loads(line)) for line in exported.splitlines())
    surplus = stored - given
    return Finding(
        source=source,
        stored=stored.total(),
        missing=(given - stored).total(),
        doubled=sum(count for record, count in surplus.items() if record in given),
        foreign=sum(count for record, count in surplus.items() if record not in given),
    )


def _canonical(record: Record) -> str:
    return json.dumps(record, sort_keys=True)
