"""The planner's decisions and what it learns; pure, so Hypothesis may try any history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer.model import OutboxBatch
from farshore_agent.forward.breaker import Breaker, Event, NoSuchStep, step
from farshore_agent.forward.offset import ClockOffset
from farshore_agent.forward.outlook import (
    MAX_RETRY_AFTER_S,
    WHOLE_EVERY_S,
    Delivery,
    Failed,
    Failure,
    Outlook,
    delivered,
    failed,
)
from farshore_agent.forward.pace import MIN_BYTES, START_BYTES, Pace, backoff_s
from farshore_agent.forward.planner import MAX_BATCHES, Send, View, Wait, decide, fill
from farshore_agent.settings import ForwardSettings
from farshore_protocol.limits import KIB, MIB
from farshore_protocol.urgency import Behind, Urgency

SETTINGS = ForwardSettings(heartbeat_s=60, timeout_s=60, backoff_min_s=1, backoff_max_s=300)
NEW = Outlook(ceiling_bytes=4 * MIB)
ANSWER = Delivery(sent_bytes=64 * KIB, took_s=0.1, was_whole=True, whole_why="", max_parcel_bytes=4 * MIB, pause_ms=0)
UP = delivered(NEW.sending(), ANSWER, 0.0, SETTINGS)


def batch(number: int, size: int = 10 * KIB, *, epoch: int = 0) -> OutboxBatch:
    return OutboxBatch(number, b"life", "boiler", number, 1, size, b"", 5, 0, 0, 0, b"%08d" % epoch, None)


def after(outlook: Outlook, *failures: Failure, at_s: float = 0.0, jitter: float = 1.0) -> Outlook:
    for failure in failures:
        outlook = failed(outlook.sending(), failure, at_s, jitter, SETTINGS)
    return outlook


def decided(outlook: Outlook, *batches: OutboxBatch, at_s: float = 0.0) -> Send | Wait:
    return decide(View(at_s, batches, outlook), SETTINGS)


DOWN = Failure(Failed.DOWN, "nobody listens")


def test_a_new_agent_first_says_everything() -> None:
    first = decided(NEW)
    assert isinstance(first, Send)
    assert first.whole
    assert "started" in first.why


def test_batches_are_sent_as_they_come_up_to_the_limit() -> None:
    waiting = [batch(number, 30 * KIB) for number in range(1, 6)]
    sent = decided(UP, *waiting)
    assert isinstance(sent, Send)
    assert [one.id for one in sent.batches] == [1, 2, 3, 4]
    assert sent.why


def test_a_batch_above_the_limit_goes_alone() -> None:
    sent = decided(NEW, batch(1, MIB), batch(2))
    assert isinstance(sent, Send)
    assert [one.id for one in sent.batches] == [1]


def test_an_idle_agent_waits_until_its_heartbeat() -> None:
    assert decided(UP, at_s=20) == Wait(40, "nothing waits to be sent")
    beat = decided(UP, at_s=60)
    assert isinstance(beat, Send)
    assert (beat.batches, beat.whole) == ((), False)


def test_everything_is_said_again_now_and_then() -> None:
    later = decided(UP, batch(1), at_s=WHOLE_EVERY_S)
    assert isinstance(later, Send)
    assert later.whole


def test_everything_is_said_again_to_a_hub_that_was_restarted() -> None:
    restarted = delivered(
        UP.sending(), replace(ANSWER, was_whole=False, whole_why="the hub was started again"), 1, SETTINGS
    )
    told = decided(restarted, at_s=1)
    assert isinstance(told, Send)
    assert told.whole


def test_a_failed_whole_statement_stays_due() -> None:
    told = decided(after(NEW, DOWN), at_s=2)
    assert isinstance(told, Send)
    assert told.whole


def test_retry_after_is_obeyed_to_the_second() -> None:
    busy = after(UP, Failure(Failed.BUSY, "busy", retry_after_s=17), at_s=5)
    assert isinstance(decided(busy, batch(1), at_s=21.9), Wait)
    assert isinstance(decided(busy, batch(1), at_s=22), Send)


def test_an_absurd_retry_after_is_not_obeyed_for_ever() -> None:
    busy = after(UP, Failure(Failed.BUSY, "busy", retry_after_s=1e9))
    assert isinstance(decided(busy, batch(1), at_s=MAX_RETRY_AFTER_S), Send)


def test_the_hubs_pause_and_limit_are_obeyed() -> None:
    asked = Delivery(64 * KIB, 0.1, was_whole=True, whole_why="", max_parcel_bytes=22 * KIB, pause_ms=500)
    slow = delivered(UP.sending(), asked, 10, SETTINGS)
    assert isinstance(decided(slow, batch(1), at_s=10.4), Wait)
    sent = decided(slow, batch(1), batch(2), batch(3), at_s=10.5)
    assert isinstance(sent, Send)
    assert len(sent.batches) == 2


def test_after_three_failures_one_small_parcel_tries_the_link() -> None:
    down = after(UP, DOWN, DOWN, DOWN)
    assert down.breaker is Breaker.OPEN
    probe = decided(down, batch(1), at_s=1000)
    assert isinstance(probe, Send)
    assert probe.batches == ()
    back = delivered(down.sending(), ANSWER, 1000, SETTINGS)
    assert back.link_up
    full = decided(back, batch(1), at_s=1000)
    assert isinstance(full, Send)
    assert full.batches


def test_a_busy_hub_does_not_open_the_breaker() -> None:
    busy = Failure(Failed.BUSY, "busy", retry_after_s=1)
    assert after(UP, busy, busy, busy, busy).breaker is Breaker.CLOSED


def test_the_link_is_not_up_before_the_first_answer() -> None:
    assert not NEW.link_up
    assert UP.link_up
    assert not after(UP, DOWN).link_up


@pytest.mark.parametrize(
    ("state", "event"),
    [(Breaker.HALF_OPEN, Event.SENDING), (Breaker.OPEN, Event.ANSWERED), (Breaker.OPEN, Event.FAILED)],
)
def test_a_step_that_the_table_does_not_have_is_a_bug(state: Breaker, event: Event) -> None:
    with pytest.raises(NoSuchStep, match=state.value):
        step(state, event)


def test_a_timeout_halves_the_parcel() -> None:
    pace = Pace(limit_bytes=MIB).after_timeout(MIB, divisible=True)
    assert pace.limit_bytes == MIB // 2
    assert pace.patience == 1


def test_what_cannot_be_divided_gets_more_time() -> None:
    slow = after(UP, Failure(Failed.TIMED_OUT, "slow", sent_bytes=MIB, batches=(b"one",)))
    sent = decided(slow, batch(1, MIB), at_s=100)
    assert isinstance(sent, Send)
    assert sent.timeout_s == 2 * SETTINGS.timeout_s


def test_parcels_grow_to_two_seconds_of_a_fast_link() -> None:
    pace, rate = Pace(), 1_000_000.0
    for _ in range(20):
        pace = pace.after_delivery(pace.limit_bytes, 0.05 + pace.limit_bytes / rate, timeout_s=60)
    assert 1.8 * rate < pace.limit_bytes < 2 * rate


def test_a_small_parcel_says_nothing_about_the_link() -> None:
    assert Pace().after_delivery(300, 0.5, timeout_s=60).limit_bytes == START_BYTES


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 16 * MIB), st.floats(0, 3600), st.booleans()),
        max_size=30,
    ),
    st.integers(0, 16 * MIB),
)
def test_whatever_happens_the_limit_keeps_its_bounds(
    history: list[tuple[bool, int, float, bool]], ceiling: int
) -> None:
    pace = Pace()
    for worked, size, took_s, divisible in history:
        before = pace
        pace = (
            pace.after_delivery(size, took_s, timeout_s=60) if worked else pace.after_timeout(size, divisible=divisible)
        )
        assert MIN_BYTES <= pace.limit_bytes <= 2 * before.limit_bytes
        assert MIN_BYTES <= pace.within(ceiling) <= max(MIN_BYTES, ceiling)


@given(st.lists(st.integers(1, 64 * KIB), max_size=60), st.integers(MIN_BYTES, MIB), st.integers(1, 300))
def test_a_parcel_is_the_front_of_the_outbox_and_never_empty(sizes: list[int], limit: int, epochs: int) -> None:
    waiting = [batch(number, size, epoch=number % epochs) for number, size in enumerate(sizes)]
    chosen = fill(waiting, limit)
    assert list(chosen) == waiting[: len(chosen)]
    assert bool(chosen) == bool(waiting)
    assert len(chosen) <= 1 or sum(one.size for one in chosen) <= limit
    assert len(chosen) <= MAX_BATCHES


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_pause_stays_within_its_bounds(failures: int, jitter: float) -> None:
    pause_s = backoff_s(failures, shortest_s=1, longest_s=300, jitter=jitter)
    assert 0 <= pause_s <= 300


@given(
    st.lists(st.sampled_from([*Failed, None]), max_size=25),
    st.lists(st.integers(1, 200 * KIB), max_size=8),
    st.floats(0, 1),
)
def test_after_any_history_a_decision_says_why_and_the_outbox_drains(
    history: list[Failed | None], sizes: list[int], jitter: float
) -> None:
    now_s, outlook = 0.0, NEW
    for kind in history:
        outlook = outlook.sending()
        if kind is None:
            outlook = delivered(outlook, ANSWER, now_s, SETTINGS)
        else:
            outlook = failed(outlook, Failure(kind, "why", sent_bytes=KIB), now_s, jitter, SETTINGS)
        now_s = max(now_s, outlook.resume_s)
    waiting = [batch(number, size) for number, size in enumerate(sizes)]
    for _ in range(len(waiting) + 2):
        said = decide(View(now_s, waiting, outlook), SETTINGS)
        assert said.why
        if isinstance(said, Wait):
            break
        waiting = waiting[len(said.batches) :]
        outlook = delivered(outlook.sending(), ANSWER, now_s, SETTINGS)
    assert not waiting


def test_the_offset_keeps_the_most_precise_measurement() -> None:
    precise, coarse = ClockOffset(1_000, 10), ClockOffset(50_000, 100_000)
    assert precise.or_newer(coarse) == precise
    assert coarse.or_newer(precise) == precise


def test_the_offset_follows_a_clock_that_was_set() -> None:
    assert ClockOffset(1_000, 10).or_newer(ClockOffset(3_600_000_000, 50_000)).offset_us == 3_600_000_000


def test_the_hubs_time_is_that_of_the_middle() -> None:
    assert ClockOffset.measured(sent_us=1_000, took_us=200, hub_us=5_100) == ClockOffset(4_000, 100)


def test_what_something_on_the_way_finds_too_large_is_not_tried_again_at_once() -> None:
    pace = Pace(limit_bytes=MIB).after_too_large(MIB)
    sizes = []
    for _ in range(40):
        sizes.append(pace.limit_bytes)
        pace = pace.after_delivery(pace.limit_bytes, 0.05, timeout_s=60)
    assert MIB // 2 <= max(sizes) < MIB


def test_parcels_take_ten_round_trips_of_a_long_link() -> None:
    pace, rate, round_trip_s = Pace(), 32_000.0, 0.7
    pace = pace.after_delivery(400, round_trip_s, timeout_s=60)
    for _ in range(20):
        pace = pace.after_delivery(pace.limit_bytes, round_trip_s + pace.limit_bytes / rate, timeout_s=60)
    assert 0.88 < pace.limit_bytes / rate / (round_trip_s + pace.limit_bytes / rate) < 0.95


def test_what_is_more_urgent_does_not_wait_for_the_slot_of_the_others() -> None:
    busy = after(UP, Failure(Failed.BUSY, "busy", retry_after_s=300, priority=5))
    assert isinstance(decided(busy, batch(1)), Wait)
    alarm = replace(batch(2), priority=9)
    sent = decided(busy, alarm, batch(1))
    assert isinstance(sent, Send)
    assert sent.batches == (alarm,)
    assert sent.urgency == Urgency(9, Behind(5, 10 * KIB))


def test_after_a_failure_nothing_is_so_urgent() -> None:
    assert isinstance(decided(after(UP, DOWN), replace(batch(1), priority=9)), Wait)


def test_a_hub_that_says_when_is_there() -> None:
    down = after(UP, DOWN, DOWN, DOWN)
    put_off = after(down, Failure(Failed.BUSY, "busy", retry_after_s=5))
    sent = decided(put_off, batch(1), at_s=5)
    assert isinstance(sent, Send)
    assert sent.batches


def test_a_trial_of_the_link_says_what_waits_behind_it() -> None:
    probe = decided(after(UP, DOWN, DOWN, DOWN), replace(batch(1), priority=7), at_s=1_000)
    assert isinstance(probe, Send)
    assert probe.urgency.behind == Behind(7, 10 * KIB)
