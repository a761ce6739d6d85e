"""Orders and reports at the hub's end: with parcels and by themselves, on both databases."""

from __future__ import annotations

from sqlalchemy import select

from farshore_hub.orders.making import Maker
from farshore_hub.store import orders, site_reports
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.orders import OrderKind
from farshore_hub.store.schema import sites
from farshore_protocol.orders import CommandReport, Outcome
from tests.contracts.hub_world import HubWorld
from tests.contracts.steered import desk_of, ending_of, id_of, made, order_command, order_settings, steered


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


def test_settings_that_a_site_was_trying_when_it_lost_its_disk_are_lost(hub: HubWorld) -> None:
    site, desk = steered(hub), desk_of(hub)
    desk.take_report(site.report(), "ship-1")
    order_settings(hub, site)
    order = site.opened(desk.pending("ship-1")[0])
    desk.take_report(site.report(settings=site.kept(order, Outcome.PROBING)), "ship-1")
    desk.take_report(site.report(), "ship-1")
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "lost")]


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


def test_a_site_that_joins_anew_is_asked_who_it_is_and_its_old_orders_are_lost(hub: HubWorld) -> None:
    site = steered(hub)
    made(hub, site)
    with writing(hub.engine) as connection:
        site_reports.forget(connection, id_of(hub, site), hub.clock.now_us())
    assert desk_of(hub).pending("ship-1") == []
    assert ending_of(hub, OrderKind.SETTINGS) == [("settled", "lost")]
    with reading(hub.engine) as connection:
        assert connection.execute(select(sites.c.heard, sites.c.has_orders)).one() == (0, False)
    site.number = 0
    assert desk_of(hub).take_report(site.report(), "ship-1") == 1
