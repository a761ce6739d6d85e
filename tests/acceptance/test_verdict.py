"""The comparison that all the runs stand on can fail: each kind of fault is seen, and only that."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.acceptance.figures import table
from tests.acceptance.verdict import Comparison, account_faults

GOOD = {"produced": 10, "stored": 7, "pending": 0, "shed": 2, "quarantined": 1, "gap": 0}


def test_what_was_acknowledged_and_is_stored_once_is_right() -> None:
    assert Comparison.of(Counter("abc"), Counter("abc"), Counter()).faults() == []


def test_what_was_sent_without_an_answer_may_be_stored_or_not() -> None:
    assert Comparison.of(Counter("ab"), Counter("a"), Counter("bc")).faults() == []


@pytest.mark.parametrize(
    ("stored", "kind", "content"),
    [("ab", "lost", "c"), ("abcc", "twice", "c"), ("abcx", "foreign", "x"), ("abcmm", "twice", "m")],
)
def test_a_record_that_is_lost_doubled_or_foreign_is_named(stored: str, kind: str, content: str) -> None:
    found = Comparison.of(Counter(stored), Counter("abc"), Counter("m"))
    assert content in getattr(found, kind)
    assert any(content in fault for fault in found.faults())


def test_a_record_whose_content_has_changed_is_lost_and_foreign() -> None:
    found = Comparison.of(Counter("abX"), Counter("abc"), Counter())
    assert (found.lost, found.foreign) == (Counter("c"), Counter("X"))


def test_an_account_that_balances_is_right() -> None:
    assert account_faults(GOOD, stored=7, quarantined=1) == []


@pytest.mark.parametrize(
    "change",
    [
        {"produced": 11},
        {"produced": 11, "gap": 1},
        {"produced": 11, "pending": 1},
        {"stored": 6, "shed": 3},
        {"shed": 1},
    ],
)
def test_an_account_that_does_not_balance_or_is_not_settled_is_named(change: dict[str, int]) -> None:
    assert account_faults(GOOD | change, stored=7, quarantined=1)


def test_refused_records_have_to_be_in_the_account() -> None:
    assert account_faults(GOOD, stored=7, quarantined=2)


def test_the_table_says_every_fault_or_that_there_is_none() -> None:
    assert "faults                  none" in table({"kills": 3, "faults": []})
    shown = table({"kills": 3, "control": "", "times": {"median": 1}, "faults": ["one", "other"]})
    assert shown.splitlines() == [
        "  kills                   3",
        "  control                 none",
        "  times                   median 1",
        "  faults                  one",
        "  faults                  other",
    ]
