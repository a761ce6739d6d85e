"""The search for the batch that the hub fails at; pure, so Hypothesis may place the culprits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.forward.suspects import FIRST_RETRY_S, LAST_RETRY_S, MANY, MAX_ASIDE, Suspects


def refused_alone(suspects: Suspects, digest: bytes, at_s: float) -> Suspects:
    return suspects.after_refusal([digest], "HTTP 500").after_delivery([], at_s)


def hunt(waiting: list[bytes], culprits: set[bytes], parcel: int) -> tuple[Suspects, int]:
    """Send until nothing is left that is not set aside; how many exchanges that took."""
    suspects, exchanges = Suspects(), 0
    while waiting := [each for each in waiting if each not in suspects.aside]:
        exchanges += 1
        sent = [] if suspects.accused else waiting[: min(parcel, suspects.at_most)]
        if culprits & set(sent):
            suspects = suspects.after_refusal(sent, "HTTP 500")
        else:
            suspects = suspects.after_delivery(sent, 0.0)
            waiting = waiting[len(sent) :]
    return suspects, exchanges


@given(st.integers(1, 200), st.sets(st.integers(0, 199), max_size=4), st.integers(1, 64))
def test_exactly_the_culprits_are_set_aside_and_soon(count: int, places: set[int], parcel: int) -> None:
    waiting = [b"%d" % each for each in range(count)]
    culprits = {waiting[each] for each in places if each < count}
    suspects, exchanges = hunt(waiting, culprits, parcel)
    assert set(suspects.aside) == culprits
    assert exchanges <= -(-count // parcel) + len(culprits) * (3 * parcel.bit_length() + 3)


def test_a_hub_that_fails_without_the_batch_too_clears_it() -> None:
    suspects = Suspects().after_refusal([b"a"], "HTTP 500")
    assert suspects.accused
    assert suspects.after_failure().accused is None
    assert not suspects.after_failure().after_delivery([], 0.0).aside


def test_it_is_tried_again_later_and_later() -> None:
    suspects, pauses = Suspects(), []
    for _ in range(16):
        suspects = refused_alone(suspects, b"a", 1_000.0)
        pauses.append(suspects.aside[b"a"].until_s - 1_000.0)
    assert pauses[0] == FIRST_RETRY_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_RETRY_S


def test_many_in_a_row_are_tried_again_as_soon_as_anything_gets_through() -> None:
    suspects = Suspects()
    for each in range(MANY):
        suspects = refused_alone(suspects, b"%d" % each, 10.0)
    assert {each.until_s for each in suspects.after_delivery([b"x"], 20.0).aside.values()} == {20.0}


def test_a_few_are_not() -> None:
    suspects = refused_alone(Suspects(), b"a", 10.0)
    assert suspects.after_delivery([b"x"], 20.0).aside[b"a"].until_s == 10.0 + FIRST_RETRY_S


def test_what_is_set_aside_is_bounded() -> None:
    suspects = Suspects()
    for each in range(MAX_ASIDE + 10):
        suspects = refused_alone(suspects, b"%d" % each, 0.0)
    assert len(suspects.aside) == MAX_ASIDE


def test_what_was_delivered_is_no_suspect() -> None:
    suspects = refused_alone(Suspects(), b"a", 0.0)
    assert not suspects.after_delivery([b"a"], 10.0).aside
