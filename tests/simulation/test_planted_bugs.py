"""Every planted bug is caught within 200 seeds; what the protocol heals by design is healed, and named as that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, HEALED, Bug, seeds_for
from tests.simulation.plan import plan_for
from tests.simulation.world import run

WITHIN = 200
HEALED_SEEDS = 60


def kinds_of(seed: int) -> tuple[str, ...]:
    return plan_for(seed, Path("/nowhere")).kinds


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    for seed in seeds_for(bug, kinds_of, WITHIN):
        with bug.plant():
            verdict = run(seed, bug.always)
        if verdict.wrong:
            return
    pytest.fail(f"{WITHIN} seeds have not shown that {bug.name}")


@pytest.mark.parametrize("bug", HEALED, ids=lambda bug: bug.name)
def test_what_the_protocol_heals_by_design_does_no_harm(bug: Bug) -> None:
    for seed in seeds_for(bug, kinds_of, HEALED_SEEDS):
        with bug.plant():
            verdict = run(seed, bug.always)
        assert not verdict.wrong, "\n".join([*verdict.trace, *verdict.wrong])
