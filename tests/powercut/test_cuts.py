"""What a run of power cuts concludes from what it has found; the cuts themselves are `make powercut`."""

from __future__ import annotations

import random

from tests.acceptance.figures import table
from tests.powercut.cuts import Finding, Moment, draw_moment
from tests.powercut.disk import Cut
from tests.powercut.report import is_as_it_must_be, progress, summary

FINE = Finding(1, Moment.DELIVERING, 100, 101, 0, [], Cut(survived=3, lost=5))
LOSS = Finding(2, Moment.OFFLINE, 150, 130, 21, ["21 acknowledged records are not stored"], Cut(survived=0, lost=9))
AFTER = Finding(3, Moment.STARTING, 140, 141, 0, [], Cut(survived=1, lost=0))
DOUBLE = Finding(4, Moment.DELIVERING, 150, 152, 0, ["1 records are stored more than once"], Cut(survived=0, lost=0))


def _report(*findings: Finding, control: str = "") -> dict[str, object]:
    return summary(findings, seed=7, control=control, took_s=30)


def test_a_run_without_faults_is_as_it_must_be() -> None:
    assert is_as_it_must_be(_report(FINE, AFTER))


def test_a_run_that_has_lost_or_doubled_a_record_is_not() -> None:
    assert not is_as_it_must_be(_report(FINE, LOSS, AFTER))
    assert not is_as_it_must_be(_report(FINE, DOUBLE))


def test_a_control_must_lose_records() -> None:
    assert is_as_it_must_be(_report(FINE, LOSS, control="normal"))
    assert not is_as_it_must_be(_report(FINE, AFTER, control="normal"))
    assert not is_as_it_must_be(_report(FINE, DOUBLE, control="normal")), "another fault than the one that is planted"


def test_the_figures_count_every_acknowledged_record_also_those_that_were_lost_earlier() -> None:
    report = _report(FINE, LOSS, AFTER)
    assert report["records_acknowledged"] == 161
    assert (report["records_lost"], report["cuts_that_lost"]) == (21, 1)
    assert (report["sectors_unflushed"], report["sectors_lost"]) == (18, 14)
    assert report["moments"] == {"delivering": 1, "offline": 1, "starting": 1}
    assert report["seconds_a_cut"] == 10
    assert "cut 2: 21 acknowledged records are not stored" in table(report)


def test_progress_says_what_a_cut_has_done() -> None:
    assert progress(FINE).endswith("5 of 8 unflushed sectors lost; 100 records acknowledged: all there, once")
    assert progress(LOSS).endswith("21 acknowledged records are not stored")


def test_the_power_goes_at_every_kind_of_moment() -> None:
    chance = random.Random(1)
    drawn = [draw_moment(chance) for _ in range(1000)]
    assert min(drawn.count(moment) for moment in Moment) > 100
