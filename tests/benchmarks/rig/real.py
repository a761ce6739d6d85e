"""Real data as streams of NDJSON lines: from `shared/data` beside this repository, or what the demo brings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tests.benchmarks.datasets import load

_ROOT: Final = Path(__file__).resolve().parents[3]
_SHARED: Final = _ROOT.parent / "shared" / "data"
_DEMO: Final = _ROOT / "demo" / "farshore_demo" / "data"
_FILES: Final = {
    "beijing-air": ("beijing-air/PRSA_Data_Aotizhongxin*",),
    "cloudwatch": ("nab/realAWSCloudwatch/*",),
    "zeek": ("zeek/apt29_day1*",),
    "apache": ("elastic-logs/apache_logs*",),
}
_DEMO_FILES: Final = {
    "air-quality": ("air-quality*",),
    "machine-temperature": ("machine-temperature*",),
    "access-log": ("access.log*",),
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """The lines of each stream; several streams are devices of one site."""

    name: str
    streams: dict[str, list[bytes]]

    @property
    def lines(self) -> int:
        """Of all streams."""
        return sum(map(len, self.streams.values()))


def datasets(max_records: int) -> list[Dataset]:
    """Every data set that is there, each stream up to so many records."""
    folder, files = (_SHARED, _FILES) if _SHARED.exists() else (_DEMO, _DEMO_FILES)
    found = []
    for name, patterns in files.items():
        paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
        found.append(Dataset(name, {_stream_of(path): _lines(path, max_records) for path in paths}))
    return found


def log_lines() -> list[bytes]:
    """Lines of a web server's log, as records."""
    return _lines(next(_DEMO.glob(*_DEMO_FILES["access-log"])), 10_000)


def _lines(path: Path, max_records: int) -> list[bytes]:
    return [orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in load(path)[:max_records]]


def _stream_of(path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.name.split(".")[0].lower()).strip("-")[:60]
