"""The frame of every benchmark: its options, its folder, and how figures are printed: a JSON line, and a table."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.rig.centre import STORES
from tests.benchmarks.rig.meters import machine

_ROOT: Final = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and what it has to reach: at `most`, or at `least`; the `aim` lies beyond."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None
    aim: float | None = None

    @property
    def shown(self) -> str:
        """The value, in as many digits as mean something."""
        return _number(self.value)

    @property
    def bar(self) -> str:
        """What is to be reached, as text."""
        if self.most is not None:
            shown = f"≤ {_number(self.most)}"
        elif self.least is not None:
            shown = f"≥ {_number(self.least)}"
        else:
            return ""
        return shown + (f", aim {_number(self.aim)}" if self.aim is not None else "")

    @property
    def verdict(self) -> str:
        """Whether it is reached, and by how much not."""
        bound = self.most if self.most is not None else self.least
        if bound is None:
            return ""
        missed = self.value > bound if self.most is not None else self.value < bound
        return f"missed: {self.value / bound:.0%} of it" if missed else "reached"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One command.

    Attributes:
        name: of the module.
        about: what it measures and how; the first text of `--help`.
        examples: command lines without `python -m tests.benchmarks.`.
        records: the usual size; 0 where the size has another name.
        options: adds the command's own options.
        has_store: whether the hub's store can be chosen.
    """

    name: str
    about: str
    examples: Sequence[str]
    measure: Callable[[argparse.Namespace, Path], list[Figure]]
    records: int = 100_000
    options: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    has_store: bool = True

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Measure and print."""
        options = self.parser().parse_args(arguments)
        before, began_s = machine(), time.monotonic()
        with working_folder(options.folder) as folder:
            figures = self.measure(options, folder)
        line = {
            "benchmark": self.name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "took_s": round(time.monotonic() - began_s, 1),
            "machine": {**before, "load_after": round(os.getloadavg()[0], 1)},
            "options": {key: value for key, value in vars(options).items() if key not in {"json", "folder"}},
            "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
        }
        sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
        if not options.json:
            sys.stdout.write(table(self.name, line, figures) + "\n")
        sys.stdout.flush()

    def parser(self) -> argparse.ArgumentParser:
        """Its options."""
        prefix = "python -m tests.benchmarks."
        examples = "\n".join(f"  {prefix}{example}" for example in self.examples)
        parser = argparse.ArgumentParser(
            prog=f"{prefix}{self.name}",
            description=self.about,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--json", action="store_true", help="the JSON line only")
        parser.add_argument("--folder", type=Path, help="where to work, on the disk to measure (default: temporary)")
        if self.records:
            parser.add_argument(
                "--records", type=size, default=self.records, metavar="N", help=f"(default {self.records:,})"
            )
        if self.has_store:
            parser.add_argument("--store", choices=STORES, default="sqlite", help="of the hub (default sqlite)")
        self.options(parser)
        return parser


@contextmanager
def working_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder with a short path, because a unix socket's path has to be; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="fs-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def table(name: str, line: dict[str, Any], figures: Sequence[Figure]) -> str:
    """The figures for people."""
    rows = [(each.name, each.shown, each.unit, each.bar, each.verdict) for each in figures]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    shown = [
        f"  {row[0]:{widths[0]}}  {row[1]:>{widths[1]}} {row[2]:{widths[2]}}  {row[3]:{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    load = line["machine"]
    given = json.dumps(line["options"], default=str)
    head = f"{name}, {line['took_s']} s, load {load['load']} → {load['load_after']}, {given}"
    return "\n".join([head, *shown])


def say(text: str) -> None:
    """Tell on standard error how far it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def size(text: str) -> int:
    """A number as people write it, such as 1_000_000."""
    return int(text.replace("_", "").replace(",", ""))


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()
