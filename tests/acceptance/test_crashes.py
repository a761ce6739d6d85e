"""SIGKILL at random moments, again and again, under load: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import random
import time
from typing import Final

from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.producing import load_on
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import Site

CYCLES: Final = 20
_LONGEST_LIFE_S: Final = 0.8
_LONGEST_START_S: Final = 1.2


def _feed_files(*sites: Site) -> None:
    for site in sites:
        site.drop_file(60)
        site.log_lines(60)


def _live(chance: random.Random, longest_s: float) -> None:
    """Not a wait for something: the moment of the kill is what is random."""
    time.sleep(chance.uniform(0, longest_s))


def _kill_agent(site: Site, chance: random.Random) -> None:
    """In the middle of its work, or in the middle of its start."""
    site.daemon.start()
    if chance.random() < 0.7:
        site.until_open()
        _live(chance, _LONGEST_LIFE_S)
    else:
        _live(chance, _LONGEST_START_S)
    site.kill()


def _kill_hub(hub: Hub, chance: random.Random) -> None:
    hub.daemon.start()
    if chance.random() < 0.7:
        hub.until_ready()
        _live(chance, _LONGEST_LIFE_S)
    else:
        _live(chance, _LONGEST_START_S)
    hub.kill()


def test_an_agent_that_is_killed_at_random_moments_loses_and_doubles_nothing(
    hub: Hub, sites: MakeSite, chance: random.Random
) -> None:
    site = sites(hub, started=False)
    with load_on(site):
        for _ in range(CYCLES):
            _feed_files(site)
            _kill_agent(site, chance)
        site.start()
    assert site.acknowledged["readings"].total() > 0
    assert_settled(hub, site)


def test_a_hub_that_is_killed_at_random_moments_loses_and_doubles_nothing(
    own_hub: Hub, sites: MakeSite, chance: random.Random
) -> None:
    site = sites(own_hub)
    own_hub.kill()
    with load_on(site):
        for _ in range(CYCLES):
            _feed_files(site)
            _kill_hub(own_hub, chance)
    own_hub.start()
    assert_settled(own_hub, site)


def test_agent_and_hub_killed_in_one_another_s_way_lose_and_double_nothing(
    own_hub: Hub, sites: MakeSite, chance: random.Random
) -> None:
    site = sites(own_hub)
    with load_on(site):
        for _ in range(5):
            _feed_files(site)
            _live(chance, _LONGEST_LIFE_S)
            site.kill()
            own_hub.kill()
            for start in chance.sample([site.daemon.start, own_hub.daemon.start], 2):
                start()
            own_hub.until_ready()
        site.until_open()
    assert_settled(own_hub, site)
