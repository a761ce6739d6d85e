"""An answer is bounded, and never tells half of an account."""

from __future__ import annotations

from farshore_hub.ledger.account import Account
from farshore_hub.receive.room import Named, with_room
from farshore_protocol.limits import MAX_ANSWER_BYTES, MAX_ANSWER_RANGES, MAX_PARCEL_CLAIMS, MAX_RANGES, MAX_SEQUENCE
from farshore_protocol.messages import Account as Told
from farshore_protocol.messages import Answer
from farshore_protocol.ranges import RangeSet
from farshore_protocol.wire import pack

LIFE = b"12345678"


def scattered(ranges: int, start: int = 1) -> Account:
    stored = RangeSet(tuple((at, at) for at in range(start, start + 2 * ranges, 2)))
    return Account(stored=stored, head=stored.highest)


def accounts(*ranges: int) -> dict[Named, Account]:
    return {(LIFE, f"s{at}"): scattered(count) for at, count in enumerate(ranges)}


def names(given: dict[Named, Account]) -> list[str]:
    return [stream for _, stream in given]


def test_what_has_room_is_answered_as_it_was_named() -> None:
    given = accounts(3, 1, 2)
    assert with_room(given, [(LIFE, "s1")]) == given
    assert names(with_room(given, [])) == ["s0", "s1", "s2"]


def test_what_was_brought_comes_first_then_what_is_least_scattered() -> None:
    given = accounts(5, 1, 4, 2)
    assert names(with_room(given, [(LIFE, "s0")], max_ranges=8)) == ["s0", "s1", "s3"]
    assert names(with_room(given, [], max_ranges=8)) == ["s1", "s2", "s3"]
    assert names(with_room(given, [], max_accounts=2)) == ["s1", "s3"]


def test_an_account_is_answered_whole_or_not_at_all() -> None:
    given = accounts(5, 5)
    assert with_room(given, list(given), max_ranges=7) == {(LIFE, "s0"): given[LIFE, "s0"]}


def test_the_largest_answer_fits_its_bound() -> None:
    """Long names, large numbers, as many accounts and ranges as there may be."""
    each = MAX_ANSWER_RANGES // (2 * MAX_PARCEL_CLAIMS)
    start = MAX_SEQUENCE - 2 * MAX_RANGES
    given = {(LIFE, f"{at:0>127}"): scattered(each, start) for at in range(2 * MAX_PARCEL_CLAIMS)}
    answered = with_room(given, [])
    assert len(answered) == len(given)
    told = [Told(LIFE, name, account.stored.to_wire(), [], MAX_SEQUENCE) for (_, name), account in answered.items()]
    assert len(pack(Answer(LIFE, LIFE, 1, "a" * 63, LIFE, 1, told))) < MAX_ANSWER_BYTES
