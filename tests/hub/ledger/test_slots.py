"""Slots for sites that come back at once."""

from __future__ import annotations

from farshore_hub.receive.slots import Slots


def test_everybody_gets_a_moment_of_their_own_at_the_given_rate() -> None:
    slots = Slots(per_second=10)
    waits = [slots.take(100.0) for _ in range(50)]
    assert waits == sorted(waits)
    assert len({round(each, 3) for each in waits}) == 50
    assert abs(waits[-1] - waits[0] - 4.9) < 1e-6


def test_nobody_is_sent_further_away_than_the_bound() -> None:
    slots = Slots(per_second=1, furthest_s=5)
    assert max(slots.take(0.0) for _ in range(100)) <= 5
