"""Which rule holds for which subject, and that what is left out by the store's queries is never told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.alerts.decide import Circumstances, Observation, Subject, decide
from farshore_hub.alerts.hysteresis import Phase, Standing
from farshore_hub.alerts.kinds import FACTS, Kind, Severity, shown
from farshore_hub.alerts.rules import Change, Rules

LOOK = Circumstances(10**15, unbroken=True, settled=True)


def test_without_settings_the_defaults_hold() -> None:
    for kind in Kind:
        rule, facts = Rules().of(kind, "s", "t"), FACTS[kind]
        assert (rule.levels.raise_at, rule.levels.clear_below, rule.off) == (facts.raise_at, facts.clear_below, False)
        assert rule.levels.clear_below <= rule.levels.raise_at


def test_of_the_changes_that_fit_the_last_one_says() -> None:
    rules = Rules([
        Change(Kind.PENDING_AGE, raise_at=100),
        Change(Kind.PENDING_AGE, sites="ship-*", raise_at=500, severity=Severity.CRITICAL),
        Change(Kind.PENDING_AGE, sites="ship-1", streams="b*", off=True),
        Change(Kind.GAP, raise_at=7),
    ])  # fmt: skip
    assert rules.of(Kind.PENDING_AGE, "shop", "x").levels.raise_at == 100
    assert rules.of(Kind.PENDING_AGE, "ship-2", "x").levels.raise_at == 500
    assert rules.of(Kind.PENDING_AGE, "ship-2", "x").severity is Severity.CRITICAL
    assert not rules.of(Kind.PENDING_AGE, "ship-1", "x").off
    assert rules.of(Kind.PENDING_AGE, "ship-1", "boiler").off


def test_a_lower_level_alone_takes_the_other_along() -> None:
    levels = Rules([Change(Kind.PENDING_AGE, raise_at=60)]).of(Kind.PENDING_AGE, "s", "t").levels
    assert (levels.raise_at, levels.clear_below) == (60, 30)


changes = st.builds(
    lambda site, raise_at, share: Change(
        Kind.CLOCK_OFFSET,
        sites=site,
        raise_at=raise_at,
        clear_below=None if share is None else (raise_at or 60) * share,
    ),
    st.sampled_from(["*", "a", "b*"]),
    st.one_of(st.none(), st.floats(1, 1000)),
    st.one_of(st.none(), st.floats(0.01, 0.5)),
)


@given(st.lists(changes, max_size=4), st.sampled_from(["a", "b", "bb", "c"]))
def test_no_rule_clears_below_what_the_queries_leave_out(made: list[Change], site: str) -> None:
    try:
        rules = Rules(made)
        clear = rules.of(Kind.CLOCK_OFFSET, site).levels.clear_below
    except ValueError:  # a clear level of one change over the raise level of a later one
        return
    assert clear >= rules.lowest_clear(Kind.CLOCK_OFFSET) - 1e-9


def test_what_is_switched_off_is_cleared() -> None:
    subject = Subject(Kind.FORK, "s", "t")
    rules = Rules([Change(Kind.FORK, off=True, clear_after_s=0)])
    [made] = decide({subject: Standing(Phase.RAISED, 0)}, {subject: Observation(3)}, rules, LOOK)
    assert made.is_cleared


def test_a_hub_that_was_just_started_does_not_blame_the_sites() -> None:
    silent, fork = Subject(Kind.SITE_SILENT, "s"), Subject(Kind.FORK, "s", "t")
    seen = {silent: Observation(10**6), fork: Observation(1)}
    young = Circumstances(10**15, unbroken=True, settled=False)
    assert [each.subject for each in decide({}, seen, Rules(), young) if each.is_raised] == [fork]
    assert {each.subject for each in decide({}, seen, Rules(), LOOK) if each.is_raised} == {silent, fork}


def test_values_are_shown_for_people() -> None:
    assert [shown(FACTS[kind].unit, 7300) for kind in (Kind.PENDING_AGE, Kind.GAP, Kind.HUB_DISK)] == [
        *("2 h", "7,300 records", "7300.0 %"),
    ]
    assert shown(FACTS[Kind.GAP].unit, 1) == "1 record"
