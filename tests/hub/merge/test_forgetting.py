"""Deletes are forgotten when every site has them, and what was deleted never comes back by that."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import text

from farshore_hub.merge.changes import TOO_OLD, WHILE_OUT
from farshore_hub.merge.forgetting import Keeping, Reader, judge
from farshore_hub.merge.policy import Deletes
from farshore_hub.store.engine import writing
from tests.hub.lake.stored import Stored
from tests.hub.merge.followers import KEEPING, ROUND_US, RULES, SECOND_US, TWIN, Site, TwinHub

YEAR_US = 365 * 86_400 * SECOND_US
HAS_IT = Reader("a", heard_us=1_000, follows=True, safe_version=7, safe_hlc=900, is_through=True)
KEEP = Keeping(keep_us=50, await_us=500)


def test_what_every_site_has_may_be_forgotten_once_it_is_old_enough() -> None:
    verdict = judge([HAS_IT, replace(HAS_IT, site="b", safe_version=5, safe_hlc=980)], KEEP, 0, 9, 1_000)
    assert (verdict.version, verdict.at, verdict.awaited, verdict.out) == (5, 900, {}, {})
    assert judge([replace(HAS_IT, safe_hlc=2_000)], KEEP, 0, 9, 1_000).at == 950


@pytest.mark.parametrize(
    ("reader", "why"),
    [(replace(HAS_IT, safe_version=0), "it has not told yet"), (replace(HAS_IT, follows=False), "does not follow it")],
)
def test_a_site_that_may_not_have_heard_holds_all_up(reader: Reader, why: str) -> None:
    verdict = judge([replace(HAS_IT, site="b"), reader], KEEP, 0, 9, 1_000)
    assert verdict.version == 0
    assert why in verdict.awaited["a"]


@pytest.mark.parametrize(
    ("reader", "rule"),
    [(replace(HAS_IT, is_revoked=True, safe_version=0), "revoked"), (replace(HAS_IT, heard_us=499), "silent")],
)
def test_a_site_that_is_revoked_or_silent_for_too_long_is_counted_out(reader: Reader, rule: str) -> None:
    verdict = judge([reader, replace(HAS_IT, site="b")], KEEP, 0, 9, 1_000)
    assert (verdict.version, verdict.out) == (7, {"a": rule})


def test_a_site_that_was_counted_out_counts_again_when_it_has_read_anew_and_all_that_it_brought_is_here() -> None:
    back = replace(HAS_IT, is_out=True)
    assert judge([back], KEEP, 7, 9, 1_000).returned == ["a"]
    for not_yet in (replace(back, is_through=False), replace(back, safe_version=6)):
        verdict = judge([not_yet], KEEP, 7, 9, 1_000)
        assert (verdict.returned, verdict.out) == ([], {"a": "silent"})


@pytest.mark.parametrize("seed", range(2))
def test_a_table_whose_deletes_are_forgotten_is_the_same_as_one_that_keeps_them(stored: Stored, seed: int) -> None:
    chance = random.Random(seed)
    hub = TwinHub(stored, replace(RULES, deletes=(Deletes.WIN, Deletes.LOSE)[seed % 2]))
    errors = [0, chance.randint(-2 * YEAR_US, 0), chance.randint(-5, 5) * SECOND_US]
    sites = [Site(f"site-{number}", hub, chance, error_us) for number, error_us in enumerate(errors)]
    forgotten = 0
    for _ in range(2):
        # The second time with deletes that are forgotten.
        for _ in range(5):
            forgotten += _live(hub, sites, chance)
            assert hub.rows() == hub.rows(TWIN)
        forgotten += _settle(hub, sites)
        assert hub.rows() == hub.rows(TWIN)
        assert all(site.rows == hub.rows() for site in sites)
        assert hub.kept() == len(hub.rows())
    assert forgotten > 0
    assert hub.kept(TWIN) > len(hub.rows(TWIN))
    assert hub.misfits() == []


def _live(hub: TwinHub, sites: list[Site], chance: random.Random) -> int:
    """Sites change rows, and are heard and told of them now and then; how many deletes were forgotten."""
    hub.stored.clock.us += ROUND_US
    for site in sites:
        for _ in range(chance.randint(1, 4)):
            hub.stored.clock.us += SECOND_US
            site.act(keys=12)
        if chance.random() < 0.6:
            site.send()
        if chance.random() < 0.6:
            hub.merge()
        if chance.random() < 0.6:
            site.ask()
    forgotten = hub.forget()
    hub.merge()
    return forgotten


def _settle(hub: TwinHub, sites: list[Site]) -> int:
    """Everything that was said arrives, everybody hears of it; how many deletes were forgotten."""
    forgotten = 0
    for _ in range(3):
        hub.stored.clock.us += ROUND_US
        for site in sites:
            site.send()
        hub.merge()
        for site in sites:
            site.ask()
        forgotten += hub.forget()
    return forgotten


def _forgotten(stored: Stored, error_us: int = 0) -> tuple[TwinHub, Site, Site]:
    """A row that two sites had, one has deleted, and the other, which was away for too long, still has."""
    hub, chance = TwinHub(stored, RULES), random.Random(1)
    here, away = Site("here", hub, chance), Site("away", hub, chance, error_us)
    for key in (1, 2):
        here.insert(key)
    _settle(hub, [here, away])
    assert away.rows == here.rows
    stored.clock.us += ROUND_US
    here.delete(1)
    _settle(hub, [here])
    assert hub.kept() == 2  # the one who is away may come yet
    stored.clock.us += KEEPING.await_us
    _settle(hub, [here])
    assert hub.kept() == 1
    return hub, here, away


@pytest.mark.parametrize("error_us", [2 * YEAR_US, -2 * YEAR_US])
def test_a_site_that_was_counted_out_brings_nothing_back_and_loses_the_row_itself(
    stored: Stored, error_us: int
) -> None:
    hub, here, away = _forgotten(stored, error_us)
    away.rows[1]["city"] = "Bonn"
    away._tell("update", 1, {"city": "Bonn"})
    away.delete(1)
    away.insert(1)
    away.send()
    hub.merge()
    assert hub.rows().keys() == {2}
    assert {each["why"] for each in hub.misfits()} == {WHILE_OUT}
    assert len(hub.misfits()) == 3
    _settle(hub, [here, away])
    assert here.rows == away.rows == hub.rows()
    away.insert(3)
    _settle(hub, [here, away])
    assert here.rows == away.rows == hub.rows()
    assert hub.rows().keys() == {2, 3}


def test_changes_from_before_what_is_forgotten_are_kept_aside_whoever_brings_them(stored: Stored) -> None:
    hub, here, _ = _forgotten(stored)
    late = Site("late", hub, random.Random(2), error_us=-YEAR_US)
    late.insert(1)
    late.send()
    hub.merge()
    assert hub.rows().keys() == {2}
    assert [each["why"] for each in hub.misfits()] == [TOO_OLD]
    _settle(hub, [here, late])
    assert here.rows == late.rows == hub.rows()


def test_without_the_horizon_the_row_would_come_back(stored: Stored) -> None:
    """The control: this is what forgetting without more would do."""
    hub, _, away = _forgotten(stored)
    with writing(stored.engine) as connection:
        connection.execute(text("UPDATE merged_tables SET horizon = -1"))
        connection.execute(text("UPDATE table_readers SET is_out = false"))
    away.hlc = 0
    away.error_us = -YEAR_US
    away.insert(1)
    away.send()
    hub.merge()
    assert 1 in hub.rows()
    assert 1 not in hub.rows(TWIN)
