"""Every benchmark of the page, one after the other; the JSON lines go to one file, the tables to the terminal.

    python -m tests.benchmarks.all [--to FILE] [--only NAME…] [--quick] [--list]

Takes at most 20 minutes on two idle cores; `--quick` runs each with so few records that all take a few minutes, to see
that they work. The growth's plot is drawn in the end (docs/growth.svg, or --plot). One that fails does not stop the
others; the exit code tells.

Examples:
  python -m tests.benchmarks.all --to results.jsonl
  python -m tests.benchmarks.all --only drain recovery
  python -m tests.benchmarks.all --quick --plot /tmp/growth.svg
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests.benchmarks import growth_plot

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """One benchmark with its options, and those of a quick run."""

    name: str
    options: str
    quick: str


RUNS: Final = (
    Run("floor", "", "--records 20_000"),
    Run("parts", "", "--records 20_000"),
    Run("parts", "--effort small", "--records 20_000 --effort small"),
    Run("end_to_end", "", "--records 20_000"),
    Run("peer_postgresql", "", "--records 20_000"),
    Run("peer_nats", "--records 20_000", "--records 5_000"),
    Run("end_to_end", "--records 1_000_000 --effort small", "--records 20_000 --effort small"),
    Run("end_to_end", "--records 1_000_000 --effort balanced", "--records 20_000 --effort balanced"),
    Run("end_to_end", "--records 1_000_000 --effort fast", "--records 20_000 --effort fast"),
    Run("end_to_end", "--records 1_000_000 --effort auto", "--records 20_000 --effort auto"),
    Run("peer_postgresql", "--records 1_000_000", "--records 20_000"),
    Run("peer_nats", "--records 1_000_000 --sync 2m", "--records 20_000 --sync 2m"),
    Run("end_to_end", "--records 200_000 --store postgresql", "--records 20_000 --store postgresql"),
    Run("producers", "--records 200_000", "--records 10_000"),
    Run("drain", "", "--records 50_000"),
    Run("drain", "--round-trip-ms 100 --mbit-s 10", "--records 50_000 --round-trip-ms 100 --mbit-s 10"),
    Run("recovery", "", ""),
    Run("repair", "", ""),
    Run("backlog", "", "--sizes 20_000 100_000"),
    Run("sites", "--batches 1_000", "--sites 1 16 --batches 100"),
    Run("sites", "--sites 1 10 100 1_000 --in-flight 16 --per-batch 100", "--sites 1 10 --in-flight 4 --batches 50"),
    Run("merging", "", "--rows 1_000"),
    Run("merging", "--store postgresql", "--rows 1_000 --store postgresql"),
    Run("streams", "", "--records 20_000 --streams 1 10"),
    Run("real_data", "", "--records 600 --trickles 1"),
    Run("effort", "", "--records 200_000 --seconds 1 --calm-seconds 2"),
    Run("ledger", "", "--sites 200 --days 5"),
    Run("ledger", "--store postgresql", "--sites 200 --days 5 --store postgresql"),
    Run("capture", "", "--rows 21_000 --transactions 100"),
    Run("followed", "", "--rows 2_000 --edits 5"),
)


def main() -> int:
    """Run them; how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--to", type=Path, default=Path("benchmarks.jsonl"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted({run.name for run in RUNS}))
    parser.add_argument("--quick", action="store_true", help="few records, to see that everything works")
    parser.add_argument("--list", action="store_true", help="show the command lines only")
    parser.add_argument("--plot", type=Path, default=_ROOT / "docs" / "growth.svg", help="(default: docs/growth.svg)")
    args = parser.parse_args()
    runs = [run for run in RUNS if not args.only or run.name in args.only]
    lines = [f"-m tests.benchmarks.{run.name} {run.quick if args.quick else run.options}" for run in runs]
    if args.list:
        sys.stdout.write("".join(f"python {line}\n" for line in lines))
        return 0
    began_s = time.monotonic()
    with args.to.open("w") as results:
        failed = [line for line in lines if not _run(line, results)]
    growth_plot.draw(args.to, args.plot)
    sys.stdout.write(f"\n{len(lines)} benchmarks in {time.monotonic() - began_s:.0f} s; results in {args.to}\n")
    sys.stdout.write("".join(f"failed: python {line}\n" for line in failed))
    return len(failed)


def _run(line: str, results: IO[str]) -> bool:
    """Whether it succeeded; its JSON line is kept, and its table shown."""
    sys.stdout.write(f"\n== python {line}\n")
    sys.stdout.flush()
    ended = subprocess.run([sys.executable, *line.split()], cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    for said in ended.stdout.splitlines():
        if said.startswith("{"):
            json.loads(said)
            results.write(f"{said}\n")
            results.flush()
        else:
            sys.stdout.write(f"{said}\n")
    return ended.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
