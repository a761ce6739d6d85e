"""Which parcels are let in, and when the others come back."""

from __future__ import annotations

import pytest

from farshore_hub.receive.admission import QUEUE_S, URGENT_BYTES, Admission, Asked
from farshore_hub.receive.rate import Rate, cost_of
from farshore_protocol.limits import KIB, MIB
from farshore_protocol.urgency import DEFAULT_PRIORITY, FIRST_PRIORITY, Behind, Urgency

URGENT = Urgency(FIRST_PRIORITY)


def full(*, per_s: float = 1.0 * MIB) -> Admission:
    """A hub with as much to do as it takes on from those who are not urgent."""
    admission = Admission(rate=Rate(per_s))
    number = 0
    while not admission.enter(Asked(f"early-{number}", 100 * KIB), 0.0):
        number += 1
    return admission


def test_an_idle_hub_takes_whoever_comes() -> None:
    admission = Admission()
    assert admission.enter(Asked("a", 16 * MIB), 0.0) == 0
    assert admission.pause_after(Asked("a", 16 * MIB, Urgency(behind=Behind(5, MIB))), 1.0) == 0


def test_nothing_is_so_large_that_an_empty_hub_never_takes_it() -> None:
    assert Admission(room_bytes=1).enter(Asked("a", 16 * MIB), 0.0) == 0


def test_what_is_inside_is_bounded_by_the_time_that_it_takes() -> None:
    admission = full()
    assert admission._inside_cost / admission.rate.per_s <= 0.75 * QUEUE_S + 0.2


def test_who_comes_at_its_slot_is_let_in_and_who_comes_before_is_told_the_same() -> None:
    admission = full()
    wait_s = admission.enter(Asked("a", 100 * KIB), 0.0)
    assert wait_s > 0
    assert admission.enter(Asked("a", 100 * KIB), 0.5) == pytest.approx(wait_s - 0.5)
    for each in range(40):
        admission.leave(Asked(f"early-{each}", 100 * KIB), 1.0)
    assert admission.enter(Asked("a", 100 * KIB), wait_s) == 0


def test_room_is_kept_for_the_urgent() -> None:
    admission = full()
    assert admission.enter(Asked("b", 10 * KIB), 0.0) > 0
    assert admission.enter(Asked("c", 10 * KIB, URGENT), 0.0) == 0


def test_an_urgent_parcel_does_not_wait_for_the_slot_of_another_of_the_same_site() -> None:
    admission = full()
    assert admission.enter(Asked("a", 10 * KIB), 0.0) > 0
    assert admission.enter(Asked("a", 10 * KIB, URGENT), 0.1) == 0


def test_a_site_that_calls_everything_urgent_is_believed_within_its_share_only() -> None:
    admission = full()
    size = 64 * KIB
    taken = 0
    while not admission.enter(Asked("liar", size, URGENT), 0.0):
        taken += size
        admission.leave(Asked("liar", size, URGENT), 0.0)
    assert taken <= URGENT_BYTES + size
    assert admission.enter(Asked("honest", size, URGENT), 0.0) == 0


def test_who_has_more_while_others_wait_is_given_a_slot_with_the_answer() -> None:
    admission = full()
    assert admission.pause_after(Asked("early-0", 100 * KIB, Urgency(behind=Behind(DEFAULT_PRIORITY, MIB))), 0.0) > 0
    assert admission.pause_after(Asked("early-1", 100 * KIB), 0.0) == 0


def test_the_rate_is_measured_while_there_is_enough_to_do() -> None:
    rate = Rate()
    for each in range(200):
        rate.note(cost_of(100 * KIB), at_work=20, now_s=each / 10)
    assert rate.per_s == pytest.approx(10 * cost_of(100 * KIB), rel=0.05)
    rate.note(cost_of(100 * KIB), at_work=0, now_s=20.0)
    measured = rate.per_s
    for each in range(200):
        rate.note(cost_of(100), at_work=0, now_s=100.0 + each)
    assert rate.per_s == measured
