"""The hours of an account add up to it, whatever is stored, given up and missing, and whatever the site has told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.history import BatchFact, ClaimFact, Facts, ReceiptFact, project
from farshore_hub.ledger.hours import HourState, knowledge, seen, state_of
from farshore_hub.ledger.placing import ReceiptHours, place
from farshore_protocol.hours import HOUR_US
from farshore_protocol.ranges import EMPTY, RangeSet

HOUR = 498_732
PIECES = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["stored", "receipted", "unsaid", "held", "lost", "rotten"])),
    min_size=1,
    max_size=12,
)
"""Consecutive pieces of a stream: how many records, and what became of them."""


def hours(first: int, last: int, per_hour: int) -> dict[int, int]:
    counts: dict[int, int] = {}
    for sequence in range(first, last + 1):
        counts[HOUR + sequence // per_hour] = counts.get(HOUR + sequence // per_hour, 0) + 1
    return counts


def facts_of(pieces: list[tuple[int, str]], per_hour: int, *, tells: bool) -> Facts:
    facts, first, held = Facts(), 1, EMPTY
    for count, fate in pieces:
        last, own = first + count - 1, hours(first, first + count - 1, per_hour)
        if fate in ("stored", "rotten"):
            facts.batches.append(BatchFact(0, first, last, None, own, 1 if fate == "rotten" else None))
        elif fate in ("receipted", "unsaid"):
            facts.receipts.append(ReceiptFact(0, ReceiptHours(first, last, own if fate == "receipted" else {})))
        elif fate == "held":
            held |= RangeSet(((first, last),))
        first = last + 1
    told = hours(1, first - 1, per_hour) if tells else {}
    facts.claims.append(ClaimFact(0, first - 1, held, None, False, told))
    return facts


@given(PIECES, st.integers(1, 20), st.booleans())
def test_the_hours_of_a_stream_add_up_to_its_account(
    pieces: list[tuple[int, str]],
    per_hour: int,
    tells: bool,
) -> None:
    made = project(facts_of(pieces, per_hour, tells=tells))
    stands = balance(made.account)
    assert sum(made.stored.values()) == stands.stored
    assert sum(made.shed.values()) == stands.receipted
    assert sum(made.gap.values()) == stands.gap
    if tells:
        assert sum(made.produced.values()) == stands.produced
        for hour, produced in made.produced.items():
            assert made.stored.get(hour, 0) + made.shed.get(hour, 0) + made.gap.get(hour, 0) <= produced


@given(PIECES, st.integers(1, 20))
def test_with_nothing_at_the_edge_every_record_missing_is_in_its_own_hour(
    pieces: list[tuple[int, str]], per_hour: int
) -> None:
    pieces = [(count, "lost" if fate in ("held", "unsaid") else fate) for count, fate in pieces]
    made = project(facts_of(pieces, per_hour, tells=True))
    true: dict[int, int] = {}
    first = 1
    for count, fate in pieces:
        for hour, each in hours(first, first + count - 1, per_hour).items() if fate in ("lost", "rotten") else ():
            true[hour] = true.get(hour, 0) + each
        first += count
    assert made.gap == true


def test_a_gap_goes_where_so_many_are_missing_between_its_neighbours() -> None:
    account = Account(stored=RangeSet.of((1, 5), (11, 15)), head=20, held=RangeSet.of((16, 20)))
    produced = {HOUR: 5, HOUR + 1: 5, HOUR + 2: 5, HOUR + 3: 5}
    stored = {HOUR: 5, HOUR + 2: 5}
    placed = place(account, produced, stored, [], lambda _: (HOUR, HOUR + 2))
    assert placed.gap == {HOUR + 1: 5}


def test_a_silent_site_is_unknown_and_never_complete_but_a_gap_is_named() -> None:
    heard_us = HOUR * HOUR_US + 5
    silent = knowledge(heard_us, revoked=False, now_us=heard_us + 100, silent_after_us=10)
    assert silent.unknown_from == HOUR
    assert knowledge(heard_us, revoked=False, now_us=heard_us, silent_after_us=10).unknown_from == HOUR + 1
    complete, gap = state_of(5, 5, 0, 0), state_of(5, 4, 0, 1)
    assert seen(complete, HOUR - 1, silent.unknown_from) is HourState.COMPLETE
    assert seen(complete, HOUR, silent.unknown_from) is HourState.UNKNOWN
    assert seen(gap, HOUR, silent.unknown_from) is HourState.GAP
