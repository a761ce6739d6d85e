"""Runs seeds: `python -m tests.simulation --seeds 1000`, or one with its trace: `--seed 17 --trace`.

`--always "snapshot resumed twice"` gives every seed that trouble, whatever else it has.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import click

from tests.simulation.world import Verdict, run


def main() -> int:
    """Run and report; 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print what happened, whether it failed or not")
    parser.add_argument("--always", action="append", default=[], metavar="KIND", help="a trouble that every seed has")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    asked = parser.parse_args()
    seeds = [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.seeds)
    began_s, hours, counts, failed = time.monotonic(), 0.0, Counter[str](), 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        simulated = partial(run, always=asked.always)
        for verdict in pool.map(simulated, seeds) if len(seeds) > 1 else map(simulated, seeds):
            hours, counts, failed = hours + verdict.hours, counts + verdict.counts, failed + bool(verdict.wrong)
            _tell(verdict, always=asked.trace)
    took_s = time.monotonic() - began_s
    click.echo(f"{len(seeds)} seeds, {failed} failed; {hours:.0f} virtual hours in {took_s:.0f} s")
    click.echo(", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    return bool(failed)


def _tell(verdict: Verdict, *, always: bool) -> None:
    if always or verdict.wrong:
        click.echo("\n".join(verdict.trace))
        click.echo(f"seed {verdict.seed}: {verdict.fingerprint}")
    for found in verdict.wrong:
        click.echo(f"seed {verdict.seed}: WRONG: {found}")


if __name__ == "__main__":
    sys.exit(main())
