"""Reports that are taken, and those that are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from farshore_hub.errors import SiteRevoked, Unauthenticated
from farshore_hub.orders.making import Maker
from farshore_hub.store import site_reports
from farshore_hub.store.engine import reading, writing
from farshore_protocol.errors import Malformed, NotAuthentic
from farshore_protocol.orders import Outcome
from tests.contracts.hub_world import HubWorld
from tests.contracts.steered import SteeredSite, desk_of, made, order_command, order_settings, steered


async def test_a_site_that_was_never_heard_of_is_asked_to_introduce_itself_and_then_told_what_is_heard(
    hub: HubWorld,
) -> None:
    site = steered(hub)
    assert (await hub.deliver(site.site.parcel(), "ship-1")).heard == 0
    assert (await hub.deliver(site.site.parcel(report=site.report(number=77)), "ship-1")).heard == 77
    assert (await hub.deliver(site.site.parcel(), "ship-1")).heard == 77


async def test_a_report_without_what_the_hub_has_to_know_is_taken_and_the_site_asked_for_it(hub: HubWorld) -> None:
    site = steered(hub)
    bare = site.report(introduced=False)
    assert (await hub.deliver(site.site.parcel(report=bare), "ship-1")).heard == 0
    site.report()
    other_schema = site.report(introduced=False, schema=bytes(16))
    await hub.deliver(site.site.parcel(report=site.report()), "ship-1")
    assert (await hub.deliver(site.site.parcel(report=other_schema), "ship-1")).heard == site.number
    newer = site.report(introduced=False, schema=bytes(16))
    assert (await hub.deliver(site.site.parcel(report=newer), "ship-1")).heard == 0


def test_nothing_is_ordered_of_a_site_that_has_not_introduced_itself(hub: HubWorld) -> None:
    site = steered(hub)
    assert order_settings(hub, site) == 0
    order_command(hub, site, "flush")
    assert desk_of(hub).pending("ship-1") == []
    desk_of(hub).take_report(site.report(), "ship-1")
    with writing(hub.engine) as connection:
        assert Maker(hub.keys, hub.clock.now_us(), "").commands(connection) == 1
    assert len(desk_of(hub).pending("ship-1")) == 1


def test_a_hub_that_was_restored_gives_no_number_that_the_site_has_seen(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    seen = hub.clock.now_us() + 10**12
    order = site.kept(site.opened(made(hub, site)))
    told = type(order)(seen, seen, Outcome.KEPT)
    desk.take_report(site.report(settings=told), "ship-1")
    order_settings(hub, site)
    [raw] = desk.pending("ship-1")
    assert site.opened(raw).number == seen + 1


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda site, other: other.report(), "of the site ship-2, not of ship-1|not known here"),
        (lambda site, other: site.report(hub=b"hub-two!"), "names the hub"),
        (lambda site, other: site.report()[:-9] + bytes(9), "."),
        (lambda site, other: site.report(schema=bytes(16)), "another digest"),
        (lambda site, other: b"FSR\x01junk", "."),
    ],
)
async def test_a_report_that_is_not_the_sites_is_refused_and_holds_up_no_record(
    hub: HubWorld, spoil: Callable[[SteeredSite, SteeredSite], bytes], why: str
) -> None:
    site, other = steered(hub), steered(hub, "ship-2")
    raw = spoil(site, other)
    with pytest.raises((NotAuthentic, Malformed), match=why):
        desk_of(hub).take_report(raw, "ship-1")
    answer = await hub.deliver(site.site.parcel(site.site.batch(1, 5), report=raw), "ship-1")
    assert (answer.heard, hub.stored("ship-1")) == (0, [1, 2, 3, 4, 5])


def test_an_older_report_changes_nothing(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    older = site.report(agent_version="0.9")
    assert desk.take_report(site.report(agent_version="1.0"), "ship-1") == 2
    assert desk.take_report(older, "ship-1") == 2
    with reading(hub.engine) as connection:
        [row] = site_reports.all_of_them(connection).values()
    assert row.agent_version == "1.0"


def test_a_report_of_no_site_or_a_revoked_one_is_refused_beside_one_that_is_taken(hub: HubWorld) -> None:
    site, gone = steered(hub), steered(hub, "ship-2")
    hub.revoke("ship-2")
    stranger = SteeredSite(type(site.site)("ship-3", hub.keys), hub.keys)
    brought = [(each.report(), each.site.name) for each in (gone, site, stranger)]
    refused, heard, unknown = desk_of(hub).take_reports(brought)
    assert (type(refused), heard, type(unknown)) == (SiteRevoked, 1, Unauthenticated)
