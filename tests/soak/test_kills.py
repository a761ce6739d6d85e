"""A short soak: the loop that `make soak-kills` runs a thousand times, and the plan that it draws."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.seed import seed
from tests.soak.plan import draw_strike
from tests.soak.run import run

KILLS = 10


def test_a_few_kills_of_agents_and_hub_under_load_lose_and_double_nothing() -> None:
    # Short, because a unix socket's path has to be.
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        report = run(Path(folder), KILLS, seed(), sites=2)
    assert report["faults"] == [], report
    assert report["kills"] >= KILLS
    assert report["records_acknowledged"] > 0


def test_the_same_seed_draws_the_same_plan() -> None:
    def plan() -> list[object]:
        chance = random.Random(7)
        return [draw_strike(chance, longest_start_s=1, is_hub=True) for _ in range(100)]

    assert plan() == plan()


def test_a_plan_has_every_way_of_being_struck() -> None:
    chance = random.Random(1)
    plan = [draw_strike(chance, longest_start_s=1, is_hub=True) for _ in range(1000)]
    assert any(not strike.killed and strike.frozen_s for strike in plan), "frozen, and goes on"
    assert any(strike.killed and strike.frozen_s for strike in plan), "killed while it is frozen"
    assert any(len(strike.starts_s) > 1 for strike in plan), "killed in several starts, one after the other"
    assert any(strike.together for strike in plan)
    assert all(strike.killed or strike.frozen_s for strike in plan), "something happens every time"
    agents = [draw_strike(chance, longest_start_s=1, is_hub=False) for _ in range(1000)]
    assert not any(strike.together for strike in agents)
