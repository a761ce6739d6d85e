"""Orders and reports at the hub's end: with parcels and by themselves, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from farshore_hub.errors import SiteRevoked, Unauthenticated
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.making import Maker, NewSettings
from farshore_hub.store import orders, site_reports
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import find_site
from farshore_hub.store.orders import OrderKind
from farshore_hub.store.schema import orders as orders_table
from farshore_hub.store.schema import sites
from farshore_protocol.errors import Malformed, NotAuthentic
from farshore_protocol.orders import CommandReport, Outcome
from tests.contracts.hub_world import HubWorld
from tests.contracts.steered import SteeredSite


def steered(hub: HubWorld, name: str = "ship-1") -> SteeredSite:
    return SteeredSite(hub.add_site(name), hub.keys)


def desk_of(hub: HubWorld) -> OrderDesk:
    return OrderDesk(hub.engine, hub.keys, hub.clock)


def id_of(hub: HubWorld, site: SteeredSite) -> int:
    with reading(hub.engine) as connection:
        found = find_site(connection, site.site.name)
    assert found is not None
    return found.id


def order_settings(hub: HubWorld, site: SteeredSite, settings: str = "[seal]\n", revision: int = 1) -> int:
    new = NewSettings(id_of(hub, site), site.site.name, settings, b"digest", revision, 60)
    with writing(hub.engine) as connection:
        return Maker(hub.keys, hub.clock.now_us(), "alice").settings(connection, [new])


def order_command(hub: HubWorld, site: SteeredSite, name: str, lasts_us: int = 10**9) -> int:
    maker = Maker(hub.keys, hub.clock.now_us(), "alice")
    with writing(hub.engine) as connection:
        made = maker.command(connection, id_of(hub, site), name, {"stream": "boiler"}, maker.now_us + lasts_us)
        maker.commands(connection, {id_of(hub, site)})
    return made


def ending_of(hub: HubWorld, kind: OrderKind) -> list[tuple[str, str | None]]:
    with reading(hub.engine) as connection:
        rows = connection.execute(
            select(orders_table.c.state, orders_table.c.outcome)
            .where(orders_table.c.kind == kind)
            .order_by(orders_table.c.id)
        )
        return [(state, outcome) for state, outcome in rows]


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


async def test_an_order_rides_with_every_answer_until_the_site_has_reported_on_it(hub: HubWorld) -> None:
    site = steered(hub)
    await hub.deliver(site.site.parcel(report=site.report()), "ship-1")
    assert order_settings(hub, site, "[seal]\nlinger = '2 s'\n", revision=3) == 1
    told = [(await hub.deliver(site.site.parcel(), "ship-1")).orders for _ in range(2)]
    assert told[0] == told[1]
    order = site.opened(told[0][0])
    assert order.desired is not None
    assert (order.desired.settings, order.desired.revision) == ("[seal]\nlinger = '2 s'\n", 3)
    probing = site.report(settings=site.kept(order, Outcome.PROBING))
    assert (await hub.deliver(site.site.parcel(report=probing), "ship-1")).orders == []
    assert ending_of(hub, OrderKind.SETTINGS) == [("probing", "probing")]
    await hub.deliver(site.site.parcel(report=site.report(settings=site.kept(order))), "ship-1")
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "kept")]


def test_nothing_is_ordered_of_a_site_that_has_not_introduced_itself(hub: HubWorld) -> None:
    site = steered(hub)
    assert order_settings(hub, site) == 0
    order_command(hub, site, "flush")
    assert desk_of(hub).pending("ship-1") == []
    desk_of(hub).take_report(site.report(), "ship-1")
    with writing(hub.engine) as connection:
        assert Maker(hub.keys, hub.clock.now_us(), "").commands(connection) == 1
    assert len(desk_of(hub).pending("ship-1")) == 1


def test_newer_settings_replace_those_that_the_site_has_not_settled_and_have_a_higher_number(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    desk.take_report(site.report(), "ship-1")
    order_settings(hub, site)
    [first] = desk.pending("ship-1")
    hub.clock.at_us -= 10**12
    order_settings(hub, site)
    [second] = desk.pending("ship-1")
    assert site.opened(second).number == site.opened(first).number + 1
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "replaced"), ("open", None)]
    desk.take_report(site.report(settings=site.kept(site.opened(first))), "ship-1")
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "replaced"), ("open", None)]


def test_a_hub_that_was_restored_gives_no_number_that_the_site_has_seen(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    seen = hub.clock.now_us() + 10**12
    order = site.kept(site.opened(_made(hub, site)))
    told = type(order)(seen, seen, Outcome.KEPT)
    desk.take_report(site.report(settings=told), "ship-1")
    order_settings(hub, site)
    [raw] = desk.pending("ship-1")
    assert site.opened(raw).number == seen + 1


def _made(hub: HubWorld, site: SteeredSite) -> bytes:
    desk_of(hub).take_report(site.report(), "ship-1")
    order_settings(hub, site)
    [raw] = desk_of(hub).pending("ship-1")
    return raw


def test_one_command_at_a_time_is_under_way_and_the_next_one_goes_when_it_was_answered(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    desk.take_report(site.report(), "ship-1")
    first, second = order_command(hub, site, "flush"), order_command(hub, site, "rotate-keys")
    [raw] = desk.pending("ship-1")
    order = site.opened(raw)
    assert order.command is not None
    assert (order.command.name, order.command.arguments) == ("flush", {"stream": "boiler"})
    answer = CommandReport(order.number, done=True, text="3 batches", data=b"bundle")
    desk.take_report(site.report(command=answer), "ship-1")
    assert desk.pending("ship-1") == []
    with writing(hub.engine) as connection:
        assert Maker(hub.keys, hub.clock.now_us(), "").commands(connection) == 1
        rows = orders.find_commands(connection, [first, second])
        assert [(row.state, row.outcome, row.text) for row in rows] == [
            ("settled", "done", "3 batches"),
            ("open", None, ""),
        ]
        assert orders.data_of(connection, first) == b"bundle"
    [raw] = desk.pending("ship-1")
    assert site.opened(raw).number > order.number


def test_a_command_that_has_expired_is_told_to_nobody_and_a_late_answer_is_kept_all_the_same(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    desk.take_report(site.report(), "ship-1")
    order_command(hub, site, "flush", lasts_us=100)
    [raw] = desk.pending("ship-1")
    hub.clock.at_us += 100
    assert desk.pending("ship-1") == []
    with writing(hub.engine) as connection:
        assert orders.expire(connection, hub.clock.now_us()) == 1
    assert ending_of(hub, OrderKind.COMMAND) == [("settled", "expired")]
    desk.take_report(site.report(command=CommandReport(site.opened(raw).number, done=True)), "ship-1")
    assert ending_of(hub, OrderKind.COMMAND) == [("settled", "done")]


def test_what_was_made_durable_is_published_once_and_again_when_the_broker_has_lost_it(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    desk.take_report(site.report(), "ship-1")
    order_command(hub, site, "flush")
    order_settings(hub, site)
    out = desk.unpublished()
    assert [(each.site, each.kind) for each in out] == [("ship-1", "command"), ("ship-1", "settings")]
    assert {each.raw for each in out} == set(desk.pending("ship-1"))
    desk.published([each.id for each in out])
    assert desk.unpublished() == []
    desk.publish_again()
    assert desk.unpublished() == out


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda site, other: other.report(), "of the site ship-2, not of ship-1|not known here"),
        (lambda site, other: site.report(hub=b"hub-two!"), "for the hub"),
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


def test_a_site_that_joins_anew_is_asked_who_it_is_and_its_old_orders_are_lost(hub: HubWorld) -> None:
    site = steered(hub)
    _made(hub, site)
    with writing(hub.engine) as connection:
        site_reports.forget(connection, id_of(hub, site), hub.clock.now_us())
    assert desk_of(hub).pending("ship-1") == []
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "lost")]
    with reading(hub.engine) as connection:
        assert connection.execute(select(sites.c.heard, sites.c.has_orders)).one() == (0, False)
    site.number = 0
    assert desk_of(hub).take_report(site.report(), "ship-1") == 1
