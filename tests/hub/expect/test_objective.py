"""Error budgets, burn rates over two windows, and sources that are not reliable by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.expect.calendar import ALWAYS
from farshore_hub.expect.expectation import Expectation
from farshore_hub.expect.objective import (
    FAST,
    SLOW,
    Basis,
    Budget,
    Hour,
    Objective,
    Reliability,
    budget_of,
    due_records,
)
from farshore_hub.expect.rate import Rate
from farshore_hub.store.declared import Maintenance
from farshore_hub.store.promises import SiteFacts
from farshore_hub.watch.judging import Evidence, judge

HOUR = 498_000
HOUR_US = 3_600_000_000
DAYS_30 = 30 * 86_400
OBJECTIVE = Objective("all", "*", "*", 0.99, 86_400, DAYS_30)


def budget(late: list[int], due: int = 1000) -> Budget:
    return budget_of(OBJECTIVE, [Hour(HOUR + n, due, each) for n, each in enumerate(late)])


def test_the_thresholds_are_the_workbooks() -> None:
    assert FAST.threshold(DAYS_30) == pytest.approx(6)
    assert SLOW.threshold(DAYS_30) == pytest.approx(1)


def test_what_is_missed_burns_the_budget() -> None:
    assert budget([0] * 720).burned == 0
    assert budget([10] * 720).burned == pytest.approx(1)
    gone = budget([0] * 700 + [360] * 20)
    assert gone.met == pytest.approx(0.99)
    assert gone.burned == pytest.approx(1)


def test_a_short_fault_is_no_risk_and_a_fast_one_is() -> None:
    assert budget([0] * 719 + [60]).risks["fast"] == pytest.approx(1 / 6)
    assert budget([0] * 714 + [60] * 6).risks["fast"] == pytest.approx(1)
    assert budget([0] * 714 + [600] * 6).risks["fast"] == pytest.approx(10)


def test_what_is_over_is_no_risk_though_it_burned_much() -> None:
    over = budget([0] * 700 + [1000] * 5 + [0] * 2)
    assert over.rates["fast"][0] > 6
    assert over.risks["fast"] == 0


def test_a_slow_fault_shows_in_the_long_windows() -> None:
    slow = budget([0] * 600 + [15] * 120)
    assert slow.risks["fast"] < 1 < slow.risks["slow"]


def test_where_nothing_is_due_nothing_burns() -> None:
    assert budget_of(OBJECTIVE, []).burned == 0
    assert budget([0] * 10, due=0).met == 1


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=100))
def test_figures_are_shares_and_never_negative(hours: list[tuple[int, int]]) -> None:
    found = budget_of(OBJECTIVE, [Hour(HOUR + n, max(pair), min(pair)) for n, pair in enumerate(hours)])
    assert 0 <= found.met <= 1
    assert found.burned >= 0
    assert all(risk >= 0 for risk in found.risks.values())


# ------------------------------------------------------- what is judged, and how

SITE = SiteFacts(1, HOUR - 100, (HOUR + 30) * HOUR_US, None)
KEY = ("ship-1", "boiler")
PROMISE = Expectation("*", "boiler", Rate(1, 10), ALWAYS)
BY_PROMISE = Objective("all", "*", "*", 0.99, 86_400, DAYS_30, Basis.EXPECTED)


def evidence(
    produced: int,
    stored: int,
    site: SiteFacts = SITE,
    source: Reliability | None = None,
    maintenances: tuple[Maintenance, ...] = (),
) -> Evidence:
    sources = {KEY: source} if source else {}
    return Evidence(
        {KEY: (produced, stored)},
        {"ship-1": site},
        lambda _site, stream: PROMISE if stream == "boiler" else None,
        sources,
        maintenances,
    )


def test_of_what_is_produced_what_is_not_stored_is_late() -> None:
    verdict = judge(OBJECTIVE, HOUR, evidence(360, 350), {KEY})
    assert (verdict.due, verdict.late) == (360, {"ship-1": 10})


def test_of_a_site_that_has_not_spoken_nothing_is_judged_yet() -> None:
    silent = SiteFacts(1, HOUR - 100, HOUR * HOUR_US + 5, None)
    verdict = judge(OBJECTIVE, HOUR, evidence(100, 90, silent), {KEY})
    assert (verdict.due, verdict.late, verdict.opened) == (0, {}, {"ship-1": 90})
    untold = SiteFacts(1, HOUR - 100, (HOUR + 30) * HOUR_US, HOUR)
    assert judge(OBJECTIVE, HOUR, evidence(100, 90, untold), {KEY}).opened == {"ship-1": 90}


def test_before_it_joined_a_site_owes_nothing() -> None:
    young = SiteFacts(1, HOUR + 1, (HOUR + 30) * HOUR_US, None)
    assert judge(BY_PROMISE, HOUR, evidence(0, 0, young), {KEY}).due == 0


def test_of_what_is_expected_a_silent_site_misses_all() -> None:
    silent = SiteFacts(1, HOUR - 100, HOUR * HOUR_US, None)
    verdict = judge(BY_PROMISE, HOUR, evidence(0, 0, silent), {KEY})
    assert (verdict.due, verdict.late, verdict.sources) == (360, {"ship-1": 360}, {})


def test_a_source_that_always_skips_some_burns_nothing() -> None:
    source = Reliability()
    for _ in range(1000):
        source = source.after(360, 349, DAYS_30)  # 97 %
    assert source.share == pytest.approx(0.97, abs=0.01)
    assert judge(BY_PROMISE, HOUR, evidence(349, 349, source=source), {KEY}).late == {"ship-1": 0}
    # What the agent has taken and the link has not delivered is the link's.
    assert judge(BY_PROMISE, HOUR, evidence(349, 300, source=source), {KEY}).late == {"ship-1": 49}
    # A source that falls silent is worse than its own average.
    assert judge(BY_PROMISE, HOUR, evidence(0, 0, source=source), {KEY}).late["ship-1"] >= 345


@given(st.integers(0, 1000), st.floats(0, 1000), st.floats(0, 1))
def test_what_the_agent_has_taken_is_always_due(produced: int, expected: float, share: float) -> None:
    due = due_records(BY_PROMISE, produced, expected, Reliability(1, share))
    assert due >= produced
    assert due <= max(produced, expected)


@pytest.mark.parametrize(
    ("from_hour", "until_hour", "excused"),
    [
        (HOUR, HOUR + 1, True),
        (HOUR - 5, HOUR, False),
        (HOUR + 1, HOUR + 2, False),  # over long before the hour was due
        (HOUR + 20, HOUR + 26, True),  # under way when it was due
        (HOUR - 5, HOUR + 40, True),
    ],
)
def test_maintenance_excuses_what_it_explains(from_hour: int, until_hour: int, excused: bool) -> None:
    declared = Maintenance(1, "ship-*", from_hour * HOUR_US, until_hour * HOUR_US, "", "")
    verdict = judge(OBJECTIVE, HOUR, evidence(360, 100, maintenances=(declared,)), {KEY})
    assert (verdict.excused, verdict.due) == ((360, 0) if excused else (0, 360))
    elsewhere = Maintenance(1, "shop", from_hour * HOUR_US, until_hour * HOUR_US, "", "")
    assert judge(OBJECTIVE, HOUR, evidence(360, 100, maintenances=(elsewhere,)), {KEY}).excused == 0
