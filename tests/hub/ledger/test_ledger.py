"""The ledger's arithmetic against plain sets of integers, and completeness as people read it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.completeness import AccountRow, Gap, State, completeness
from farshore_hub.ledger.verdict import Fate, StoredBatch, decide
from farshore_protocol.limits import MAX_RANGES
from farshore_protocol.messages import Claim
from farshore_protocol.ranges import EMPTY, RangeSet, upto

LIFE, LATER_LIFE = b"life-one", b"life-two"

range_sets = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=6
).map(lambda ranges: RangeSet.of(*ranges))
accounts = st.builds(
    Account, stored=range_sets, receipted=range_sets, head=st.integers(0, 80), held=range_sets, wanted=st.just(EMPTY)
)


def members(ranges: RangeSet) -> set[int]:
    return {each for first, last in ranges for each in range(first, last + 1)}


def batch(first: int, count: int, digest: bytes = b"one", content: bytes = b"content") -> StoredBatch:
    return StoredBatch(first, count, digest, content)


@given(accounts)
def test_everything_produced_is_stored_receipted_pending_or_a_named_gap(account: Account) -> None:
    stands = balance(account)
    assert stands.produced == stands.stored + stands.receipted + stands.pending + stands.gap
    everything = set(range(1, stands.produced + 1))
    settled = members(account.stored) | members(account.receipted)
    assert members(stands.gaps) == everything - settled - members(account.held)
    assert stands.stored == len(members(account.stored))


@given(range_sets, range_sets, st.integers(1, 3))
def test_a_claim_of_fewer_ranges_names_no_gap_and_all_that_is_pending(
    stored: RangeSet, receipted: RangeSet, count: int
) -> None:
    held = upto(80) - stored - receipted
    stands = balance(Account(stored=stored, receipted=receipted, head=80, held=held.within(count)))
    assert (stands.gap, stands.pending) == (0, held.count)


@given(accounts, st.integers(1, 60), st.integers(1, 12))
def test_a_verdict_takes_exactly_what_is_not_stored(account: Account, first: int, count: int) -> None:
    verdict = decide(account, batch(first, count), [])
    offered = set(range(first, first + count))
    assert members(verdict.take) == offered - members(account.stored)
    assert verdict.why
    assert (verdict.fate is Fate.FRESH) == (not offered & members(account.stored))


def test_the_same_digest_or_the_same_content_is_a_duplicate_and_other_content_a_fork() -> None:
    account = Account(stored=upto(10))
    known = [batch(1, 10)]
    assert decide(account, batch(1, 10), known).fate is Fate.DUPLICATE
    assert decide(account, batch(1, 10, digest=b"two"), known).fate is Fate.DUPLICATE
    assert decide(account, batch(1, 10, digest=b"two", content=b"other"), known).fate is Fate.FORK
    assert decide(account, batch(1, 9, digest=b"two"), known).fate is Fate.FORK


def test_what_is_wanted_again_is_taken_again() -> None:
    account = Account(stored=upto(10), wanted=RangeSet.of((3, 4)))
    verdict = decide(account, batch(1, 10), [batch(1, 10)])
    assert verdict.take == RangeSet.of((3, 4))
    assert account.with_stored(verdict.take).wanted == EMPTY


def test_an_account_in_too_many_pieces_takes_only_what_joins_some() -> None:
    account = Account(stored=RangeSet(tuple((each, each) for each in range(1, 2 * MAX_RANGES, 2))))
    verdict = decide(account, batch(10**6, 1), [])
    assert (verdict.fate, verdict.take) == (Fate.SCATTERED, EMPTY)
    assert decide(account, batch(2, 1), []).fate is Fate.FRESH


def test_a_claim_of_an_older_statement_only_raises_the_head() -> None:
    newer = Account().with_claim(Claim(LIFE, "boiler", 10, [], None), RangeSet.of((5, 10)), LIFE, 7)
    after = newer.with_claim(Claim(LIFE, "boiler", 12, [], 3, closed=True), EMPTY, LIFE, 6)
    assert (after.head, after.held, after.closed, after.number) == (12, RangeSet.of((5, 10)), False, 7)


def test_a_later_life_may_restate_an_account_with_a_lower_number() -> None:
    before = Account().with_claim(Claim(LIFE, "boiler", 10, []), upto(10), LIFE, 700)
    after = before.with_claim(Claim(LIFE, "boiler", 10, [], closed=True), EMPTY, LATER_LIFE, 1)
    assert (after.held, after.closed, after.stated_by) == (EMPTY, True, LATER_LIFE)


def test_a_receipt_never_hides_stored_records() -> None:
    account = Account(stored=upto(5)).with_receipts(upto(10))
    stands = balance(account)
    assert (stands.stored, stands.receipted, stands.gap) == (5, 5, 0)


def row(account: Account, stream: str = "boiler", life: bytes = LIFE, heard_us: int | None = 100) -> AccountRow:
    return AccountRow("ship-1", stream, balance(account), heard_us, False, life, account.oldest_us)


def test_completeness_adds_up_incarnations_and_counts_the_quarantine_apart() -> None:
    (line,) = completeness(
        [
            row(Account(stored=upto(10), head=10)),
            row(Account(stored=upto(3), head=8, held=RangeSet.of((4, 6)), oldest_us=42), life=LATER_LIFE),
            row(Account(stored=upto(2), head=2), stream="boiler.quarantine"),
        ],
        now_us=100,
        silent_after_us=50,
    )
    assert (line.produced, line.stored, line.pending, line.quarantined, line.gap) == (20, 13, 3, 2, 2)
    assert line.gaps == [Gap(LATER_LIFE, "boiler", 7, 8)]
    assert (line.state, line.oldest_pending_us) == (State.GAP, 42)


@given(st.lists(st.tuples(accounts, st.sampled_from(["boiler", "boiler.quarantine", "boiler.hourly"])), max_size=5))
def test_completeness_always_balances(parts: list[tuple[Account, str]]) -> None:
    rows = [row(account, stream, bytes([number])) for number, (account, stream) in enumerate(parts)]
    for line in completeness(rows, now_us=0, silent_after_us=1):
        assert line.produced == line.stored + line.pending + line.shed + line.quarantined + line.gap
    total = sum(line.produced for line in completeness(rows, now_us=0, silent_after_us=1))
    assert total == sum(balance(account).produced for account, _ in parts)


def test_a_silent_site_is_unknown_and_never_complete() -> None:
    whole = Account(stored=upto(10), head=10)
    (line,) = completeness([row(whole, heard_us=100)], now_us=150, silent_after_us=50)
    assert line.state is State.COMPLETE
    (line,) = completeness([row(whole, heard_us=100)], now_us=151, silent_after_us=50)
    assert line.state is State.UNKNOWN
    (line,) = completeness([row(whole, heard_us=None)], now_us=0, silent_after_us=50)
    assert line.state is State.UNKNOWN
