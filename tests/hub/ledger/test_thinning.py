"""Thinning the journal changes nothing that is promised: no midnight, nothing later, and nothing of today."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.ledger.history import ClaimFact, Facts, Projection, project
from farshore_hub.ledger.thinning import DAY_US, Noted, day_end, is_known, last_midnight, thinned
from farshore_protocol.ranges import RangeSet

HOURS = st.dictionaries(st.integers(500_000, 500_003), st.integers(1, 9), max_size=3)
CLAIMS = st.lists(
    st.builds(
        ClaimFact,
        # A clock may be set back between two claims, and some are at midnight itself.
        at_us=st.one_of(st.integers(0, 4).map(lambda day: day * DAY_US), st.integers(0, 4 * DAY_US)),
        head=st.integers(1, 30),
        held=st.builds(lambda first, more: RangeSet(((first, first + more),)), st.integers(1, 9), st.integers(0, 5)),
        oldest_us=st.none() | st.integers(1, 5),
        closed=st.booleans(),
        hours=HOURS,
    ),
    max_size=12,
)


def after_thinning(claims: list[ClaimFact]) -> list[ClaimFact]:
    made = thinned(Noted(at, 1, claim.at_us, claim.hours) for at, claim in enumerate(claims))
    return [
        ClaimFact(each.at_us, each.head, each.held, each.oldest_us, each.closed, made.hours.get(at, each.hours))
        for at, each in enumerate(claims)
        if at not in set(made.gone)
    ]


def known(claims: list[ClaimFact], at_us: int) -> Projection:
    return project(Facts(claims=claims).until(at_us))


@given(CLAIMS)
def test_every_midnight_and_today_are_what_they_were(claims: list[ClaimFact]) -> None:
    left = after_thinning(claims)
    assert project(Facts(claims=left)) == project(Facts(claims=claims))
    for day in range(6):
        assert known(left, day * DAY_US) == known(claims, day * DAY_US)
    assert len({day_end(each.at_us) for each in left}) == len(left)
    assert after_thinning(left) == left


def test_within_a_day_less_is_known() -> None:
    claims = [ClaimFact(at_us, head, RangeSet(), None, closed=False, hours={}) for at_us, head in ((1, 5), (9, 7))]
    assert (known(claims, 5).account.head, known(after_thinning(claims), 5).account.head) == (5, 0)


def test_accounts_are_thinned_each_for_itself() -> None:
    made = thinned([Noted(1, 7, 5, {}), Noted(2, 8, 5, {1: 2}), Noted(3, 7, 6, {}), Noted(4, 8, 7, {1: 1})])
    assert (made.gone, made.hours) == ([1, 2], {4: {1: 2}})


def test_what_is_thinned_is_known_at_midnights_and_what_is_not_always() -> None:
    until_us = 3 * DAY_US
    for at_us in (0, DAY_US, until_us, until_us + 1):
        assert is_known(at_us, until_us)
    for at_us in (1, DAY_US - 1, DAY_US + 1, until_us - 1):
        assert not is_known(at_us, until_us)


def test_a_midnight_ends_its_day_and_begins_none() -> None:
    for at_us, end, last in ((0, 0, 0), (1, 1, 0), (DAY_US - 1, 1, 0), (DAY_US, 1, 1), (DAY_US + 1, 2, 1)):
        assert (day_end(at_us), last_midnight(at_us)) == (end * DAY_US, last * DAY_US)
