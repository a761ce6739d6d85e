"""Slots for sites that come back at once."""

from __future__ import annotations

import pytest

from farshore_hub.receive.slots import SOONEST_S, Slots


def test_everybody_gets_a_moment_of_their_own_at_the_given_rate() -> None:
    slots = Slots()
    moments = [slots.take(100.0, 0.1, 5) for _ in range(50)]
    assert moments == [pytest.approx(100.0 + SOONEST_S + each / 10) for each in range(50)]


def test_the_urgent_come_first_and_the_others_move_back() -> None:
    slots = Slots()
    for _ in range(100):
        slots.take(0.0, 1.0, 5)
    assert slots.take(0.0, 1.0, 9) == SOONEST_S
    assert slots.take(0.0, 1.0, 5) == SOONEST_S + 101.0


def test_nobody_is_sent_further_away_than_the_bound() -> None:
    slots = Slots(furthest_s=5)
    assert max(slots.take(0.0, 1.0, 5) for _ in range(100)) <= 5
