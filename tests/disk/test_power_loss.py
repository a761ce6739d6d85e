"""The power goes after any operation on the disk: everything that was promised is there, once, and balances.

A failure names its states; `make powerloss` looks at one again, or at as many new ones as it is given time for.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from tests.disk.power_loss import SIDES, survey

SEED = 20_261_126
STATES = {"agent": 250, "hub": 60}
CONTROL_STATES = 40


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    """The controls damage files, and the buffer says so each time."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("side", sorted(SIDES))
def test_whatever_the_power_leaves_has_all_that_was_promised(side: str) -> None:
    for seed in (SEED, random.SystemRandom().getrandbits(32)):
        figures = survey(side, STATES[side], seed)
        assert not figures.faulty, figures.told(side)
        assert figures.states == STATES[side]


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
@pytest.mark.parametrize("side", sorted(SIDES))
def test_a_database_that_does_not_sync_every_commit_is_seen_to_lose(side: str, synchronous: str) -> None:
    assert survey(side, CONTROL_STATES, SEED, synchronous=synchronous).faulty
