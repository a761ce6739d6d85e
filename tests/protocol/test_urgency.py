"""What a request says of how urgent its parcel is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.urgency import BEHIND_HEADER, PRIORITY_HEADER, Behind, Urgency

PRIORITIES = st.integers(0, 9)
BEHIND = st.none() | st.builds(Behind, PRIORITIES, st.integers(0, MAX_PARCEL_BYTES))


@given(st.builds(Urgency, PRIORITIES, BEHIND))
def test_it_is_read_as_it_was_said(urgency: Urgency) -> None:
    assert Urgency.from_headers(urgency.headers()) == urgency


@pytest.mark.parametrize("text", ["", "10", "-1", "x", "٣", "9" * 50, "5;", "1.0"])
def test_what_cannot_be_read_was_not_said(text: str) -> None:
    assert Urgency.from_headers({PRIORITY_HEADER: text, BEHIND_HEADER: f"{text}, 5"}) == Urgency()


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_raises(priority: str, behind: str) -> None:
    assert Urgency.from_headers({PRIORITY_HEADER: priority, BEHIND_HEADER: behind}).priority in range(10)
