"""A herd of sites on virtual time: exact, so it may be asserted."""

from __future__ import annotations

import pytest

from tests.links.herd import POLICIES, SHIPPED, Drained, Herd, drain

THE_HERD = Herd()


@pytest.fixture(scope="session")
def drained() -> Drained:
    return drain(THE_HERD)


@pytest.mark.xdist_group("herd")
def test_ten_thousand_sites_are_drained_in_hardly_more_than_the_ideal_time_and_tries(drained: Drained) -> None:
    assert drained.delivered == THE_HERD.sites * THE_HERD.parcels
    assert drained.time_factor <= 1.1
    assert drained.tries_factor <= 1.3


@pytest.mark.xdist_group("herd")
def test_the_urgent_ones_are_there_long_before_the_others(drained: Drained) -> None:
    assert drained.urgent_s < 2 * drained.urgent_ideal_s
    assert drained.urgent_s < 0.05 * drained.took_s


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != SHIPPED])
def test_without_slots_it_takes_longer_or_more_tries(policy: str) -> None:
    herd = Herd(sites=1_000)
    without, shipped = drain(herd, policy), drain(herd)
    assert without.time_factor > 1.1 or without.tries_factor > 1.3
    assert shipped.tries_factor < without.tries_factor
    assert shipped.time_factor < 1.3


def test_a_hub_that_is_slower_than_it_thinks_learns_it() -> None:
    got = drain(Herd(sites=1_000, per_second=20))
    assert got.time_factor <= 1.1
    assert got.tries_factor <= 1.45


def test_a_hub_that_is_faster_than_it_thinks_wastes_seconds_only() -> None:
    got = drain(Herd(sites=1_000, per_second=600))
    assert got.took_s <= got.ideal_s + 20
    assert got.tries_factor <= 1.4
