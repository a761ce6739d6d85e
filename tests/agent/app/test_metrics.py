"""Prometheus text, read back as a scraper would."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer import BufferStatus, StreamStatus
from farshore_agent.forward.offset import ClockOffset
from farshore_agent.forward.report import LinkReport
from farshore_agent.metrics import LATENCY_BOUNDS_S, Histogram, escape, render
from farshore_agent.status import Present, document

SAMPLE = re.compile(r'^([a-z_]+)(\{([a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (-?[0-9.e+-]+)$')
NOW_US = 1_795_435_200_000_000


def text(*streams: StreamStatus, link: LinkReport | None = None, commits: Histogram | None = None) -> str:
    buffer = BufferStatus(b"12345678", list(streams), 100, 80, 1000, 2, 30, 1, [])
    orders = {"taken": 2, "refused": {"foreign": 1}}
    present = Present(NOW_US, 1, [], None, "", link or LinkReport(), buffer, orders=orders)
    return render(document(present), commits or Histogram())


def stream(name: str, *, incarnation: bytes = b"12345678", pending: int = 0) -> StreamStatus:
    return StreamStatus(incarnation, name, 5, 10, pending, NOW_US - 5_000_000, 0, 0, 1, 200, 0, {"evicted": 3})


def test_every_line_is_a_comment_or_a_sample() -> None:
    link = LinkReport(offset=ClockOffset(-2_500_000, 1), last_answer_us=NOW_US)
    link.exchanges["answered"] = 3
    lines = text(stream("boiler"), link=link).splitlines()
    assert all(line.startswith("# ") or SAMPLE.match(line) for line in lines)
    assert "farshore_agent_clock_offset_seconds -2.5" in lines
    assert 'farshore_agent_refused_orders_total{reason="foreign"} 1' in lines


def test_the_lives_of_a_stream_are_added_up_but_only_this_life_counts_as_appended() -> None:
    shown = text(stream("boiler", pending=4), stream("boiler", incarnation=b"87654321", pending=5))
    assert 'farshore_agent_pending_records{stream="boiler"} 9' in shown
    assert 'farshore_agent_appended_records_total{stream="boiler"} 10' in shown
    assert 'farshore_agent_receipted_records{stream="boiler",reason="evicted"} 6' in shown
    assert 'farshore_agent_oldest_pending_seconds{stream="boiler"} 5' in shown


def test_what_a_door_refused_is_counted_under_the_streams_own_name() -> None:
    assert 'farshore_agent_refused_records_total{stream="boiler"} 10' in text(stream("boiler.quarantine"))


@given(st.lists(st.floats(0, 100), max_size=50))
def test_the_histogram_counts_each_duration_once_in_every_bucket_above_it(durations: list[float]) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    shown = text(commits=histogram)
    for bound in LATENCY_BOUNDS_S:
        within = sum(duration <= bound for duration in durations)
        assert f'farshore_agent_commit_seconds_bucket{{le="{bound}"}} {within}\n' in shown
    assert f'farshore_agent_commit_seconds_bucket{{le="+Inf"}} {len(durations)}\n' in shown


@given(st.text())
def test_a_label_value_cannot_break_out_of_its_quotes(value: str) -> None:
    assert re.fullmatch(r'(?:[^"\\\n]|\\[\\"n])*', escape(value))
