"""A thousand worlds in which everything goes wrong and nothing is lost, doubled or unexplained; and one, twice.

`python -m tests.simulation --seed N --trace` shows what happened in world N; `make soak SEEDS=…` runs more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.plan import OLD_BACKUPS, OTHER_KEYS
from tests.simulation.world import run

SEEDS = 1_000
BLOCK = 25


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_nothing_is_lost_doubled_or_unexplained(first: int) -> None:
    for seed in range(first, first + BLOCK):
        verdict = run(seed)
        assert not verdict.wrong, "\n".join([*verdict.trace, f"seed {seed}: {verdict.kinds}", *verdict.wrong])


OLD_BACKUP_SEEDS = 16


def test_what_a_restored_hub_has_lost_and_its_sites_no_longer_keep_is_named() -> None:
    """Whichever backup it was: every record that was promised is stored or has a receipt, also of lives long ended."""
    unretained = 0
    for seed in range(OLD_BACKUP_SEEDS):
        verdict = run(seed, OLD_BACKUPS)
        assert not verdict.wrong, "\n".join([*verdict.trace, f"seed {seed}: {verdict.kinds}", *verdict.wrong])
        unretained += verdict.counts["unretained"]
    assert unretained, "no hub has lost what its sites no longer keep: this shows nothing"


OTHER_KEYS_SEEDS = (0, 1, 5)


def test_nothing_is_lost_whatever_keys_the_hub_has_when_a_site_comes_back() -> None:
    counts: Counter[str] = Counter()
    for seed in OTHER_KEYS_SEEDS:
        verdict = run(seed, OTHER_KEYS)
        assert not verdict.wrong, "\n".join([*verdict.trace, f"seed {seed}: {verdict.kinds}", *verdict.wrong])
        counts.update(verdict.counts)
    assert counts["keys retired"], "no site has had to follow: this shows nothing"


@pytest.mark.parametrize("seed", [4, 9])
def test_a_seed_runs_the_same_way_every_time(seed: int) -> None:
    first, second = run(seed), run(seed)
    assert (first.fingerprint, first.trace, first.steps) == (second.fingerprint, second.trace, second.steps)


def test_a_seed_runs_the_same_way_in_another_process_whatever_the_order_of_its_sets() -> None:
    told = {_told_by_a_process(hash_seed) for hash_seed in ("1", "2")}
    assert len(told) == 1
    assert run(12).fingerprint in told.pop()


def _told_by_a_process(hash_seed: str) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "12", "--trace"]
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in told.splitlines() if line.startswith("seed 12: "))
