"""Reports: the newest says everything, what the hub has is not said again, and no number is used for two contents."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.orders import reporting
from farshore_agent.orders.reporting import About
from farshore_agent.orders.state import State
from farshore_protocol.orders import CommandReport, Report
from tests.agent.orders.sites import HUB, NOW_US, PARTY, SITE

OWN = About(b"schema", ("streams",))


def said(state: State, own: About = OWN, now_us: int = NOW_US) -> State:
    return reporting.spoken(state, PARTY, own, now_us)


def heard(state: State, number: int, own: About = OWN) -> State:
    return said(reporting.heard(state, number, PARTY, own), own)


def report(state: State, own: About = OWN) -> Report:
    return reporting.report_of(state, PARTY, own)


def asked() -> State:
    """A site that a hub has asked to introduce itself."""
    return heard(State(HUB, SITE), 0)


def answered(state: State, number: int) -> State:
    answer = CommandReport(number, done=True, data=b"bundle")
    return said(msgspec.structs.replace(state, command_number=number, command=answer, has_command=False))


def test_a_hub_that_never_speaks_of_orders_is_told_nothing() -> None:
    assert reporting.is_heard(said(State(HUB, SITE)))


def test_a_site_introduces_itself_once() -> None:
    state = asked()
    introduction = report(state).introduction
    assert introduction is not None
    assert introduction.accepts == ["streams"]
    assert report(heard(state, state.spoken.number)).introduction is None


def test_it_introduces_itself_again_when_its_owner_accepts_something_else() -> None:
    state = asked()
    state = heard(state, state.spoken.number)
    other = About(b"schema", ("seal",))
    assert reporting.is_heard(said(state))
    newer = said(state, other)
    assert not reporting.is_heard(newer)
    assert report(newer, other).introduction is not None


def test_what_the_hub_has_is_no_news() -> None:
    state = asked()
    state = heard(state, state.spoken.number)
    assert said(state, now_us=NOW_US + 10**9) == state


def test_the_answer_to_a_command_is_said_until_the_hub_has_it() -> None:
    state = answered(asked(), 8)
    assert report(state).command == state.command
    state = heard(state, state.spoken.number)
    assert report(state).command is None
    assert reporting.is_heard(state)


def test_a_hub_that_asks_again_before_the_report_has_come_gets_no_newer_one() -> None:
    state = asked()
    assert heard(state, 0) == state


def test_a_hub_that_was_restored_is_told_everything_again() -> None:
    first = asked()
    state = answered(heard(first, first.spoken.number), 8)
    state = heard(state, state.spoken.number)
    restored = heard(state, first.spoken.number)
    assert restored.spoken.number > state.spoken.number
    assert report(restored).command == state.command
    forgotten = heard(restored, 0)
    assert report(forgotten).introduction is not None


def test_a_site_that_was_restored_goes_on_above_what_the_hub_has() -> None:
    state = heard(asked(), NOW_US * 2)
    assert state.spoken.number == NOW_US * 2 + 1
    assert not reporting.is_heard(state)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("hears"), st.sampled_from(["nothing", "newest", "older", "unknown"])),
            st.tuples(st.just("answers"), st.just("")),
            st.tuples(st.just("clock"), st.sampled_from(["back", "on"])),
        ),
        max_size=30,
    )
)
def test_no_number_ever_means_two_reports_whatever_clock_and_hub_do(steps: list[tuple[str, str]]) -> None:
    state, now_us, command = asked(), NOW_US, 0
    contents: dict[int, bytes] = {}
    for what, how in steps:
        if what == "clock":
            now_us += 1_000_000 if how == "on" else -3_600_000_000
        elif what == "answers":
            command += 1
            state = said(msgspec.structs.replace(state, command=CommandReport(command, done=True)), now_us=now_us)
        else:
            newest = state.spoken.number
            number = {"nothing": 0, "newest": newest, "older": newest // 2, "unknown": newest + 5}[how]
            state = said(reporting.heard(state, number, PARTY, OWN), now_us=now_us)
            assert how != "newest" or reporting.is_heard(state)
        assert contents.setdefault(state.spoken.number, state.spoken.content) == state.spoken.content
        assert state.spoken.number == max(contents)
