"""Plays seeds: `python -m tests.ledger --seeds 200 --sites 500`; exit code 1 when the ledger was wrong about one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.ledger.play import Play


def play(seed: int, sites: int) -> list[str]:
    """What the ledger was wrong about."""
    with tempfile.TemporaryDirectory() as folder:
        return Play(seed, sites, Path(folder)).run()


def main() -> int:
    """Play them; whether the ledger was wrong about any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sites", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    seeds = range(args.seed, args.seed + args.seeds)
    failed = 0
    with ProcessPoolExecutor(args.jobs) as pool:
        for seed, wrong in zip(seeds, pool.map(play, seeds, [args.sites] * len(seeds)), strict=True):
            failed += bool(wrong)
            for line in wrong[:10]:
                sys.stdout.write(f"seed {seed}: {line}\n")
    sys.stdout.write(f"{len(seeds)} seeds of {args.sites} sites, the ledger was wrong about {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
