"""The journal is thinned on both databases: old days keep their midnights, young ones every moment."""

from __future__ import annotations

from sqlalchemy import func, select

from farshore_hub.journal.thinner import Thinner
from farshore_hub.ledger.completeness import AccountRow
from farshore_hub.ledger.thinning import DAY_US, last_midnight
from farshore_hub.rebuild import rebuild
from farshore_hub.store.engine import reading
from farshore_hub.store.facts import accounts_at
from farshore_hub.store.schema import claims
from farshore_hub.store.thinning import progress
from farshore_protocol.messages import Claim
from tests.contracts.hub_world import HubWorld, inline

KEPT_DAYS = 2


def as_of(hub: HubWorld, at_us: int) -> list[AccountRow]:
    with reading(hub.engine) as connection:
        return list(accounts_at(connection, at_us))


def count(hub: HubWorld) -> int:
    with reading(hub.engine) as connection:
        return connection.scalar(select(func.count()).select_from(claims)) or 0


async def _days(hub: HubWorld, days: int) -> dict[int, list[AccountRow]]:
    """Two sites speak four times a day; what is known at each moment in which they do."""
    sites = [hub.add_site(f"ship-{at}") for at in range(2)]
    known = {}
    for at in range(days * 4):
        hub.clock.at_us += DAY_US // 4
        for site in sites:
            first, hour = at * 5 + 1, hub.clock.at_us // (DAY_US // 24)
            told = Claim(site.incarnation, "boiler", first + 5, [first + 5, first + 5], hours=[hour, 5])
            await hub.deliver(site.parcel(site.batch(first, 5), claims=[told]), site.name)
        known[hub.clock.at_us] = as_of(hub, hub.clock.at_us)
    return known


async def test_old_days_keep_their_midnights_and_young_ones_every_moment(hub: HubWorld) -> None:
    hub.clock.at_us = last_midnight(hub.clock.at_us)
    known, before = await _days(hub, 6), count(hub)
    thinner = Thinner(hub.engine, hub.clock, inline, KEPT_DAYS * DAY_US)
    assert thinner.thin_some()
    with reading(hub.engine) as connection:
        assert progress(connection).until_us > 0
    while thinner.thin_some():
        pass
    # Of four days one claim of four is left at each of two sites.
    assert before - count(hub) == 2 * 4 * 3
    young_us = hub.clock.at_us - KEPT_DAYS * DAY_US
    for at_us, rows in known.items():
        if at_us >= young_us or at_us % DAY_US == 0:
            assert as_of(hub, at_us) == rows, at_us
    with reading(hub.engine) as connection:
        assert progress(connection).until_us == young_us
    assert rebuild(hub.engine, hub.clock.now_us()) == []
    assert not thinner.thin_some()
    hub.clock.at_us += DAY_US
    assert thinner.thin_some()


async def test_what_a_clock_that_was_ahead_has_left_holds_up_nothing(hub: HubWorld) -> None:
    hub.clock.at_us = last_midnight(hub.clock.at_us)
    began_us = hub.clock.at_us
    hub.clock.at_us += 400 * DAY_US
    site = hub.add_site("early")
    await hub.deliver(site.parcel(head=3), "early")
    hub.clock.at_us = began_us
    await _days(hub, 4)
    before = count(hub)
    thinner = Thinner(hub.engine, hub.clock, inline, KEPT_DAYS * DAY_US)
    while thinner.thin_some():
        pass
    assert before - count(hub) == 2 * 2 * 3
    assert rebuild(hub.engine, hub.clock.now_us()) == []
