"""A site is asked again for what is missing, and its answer stands beside it."""

from __future__ import annotations

import pytest

from farshore_hub.errors import Conflict, Unknown
from farshore_hub.orders.asking import MOST_AT_ONCE, ask_again
from farshore_hub.store.engine import reading
from farshore_hub.store.orders import ResendRow, resends
from farshore_protocol.messages import Claim, Reason, Receipt
from farshore_protocol.orders import CommandReport
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld
from tests.contracts.steered_fleet import Fleet


async def test_what_is_missing_is_asked_for_and_the_answer_is_kept(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    fleet.add("ship-1")
    site = fleet.sites["ship-1"].site
    await fleet.come()
    evicted = Receipt(site.incarnation, "boiler", 31, 40, Reason.EVICTED, 5)
    # Of 60 records 1 to 10 are stored, 31 to 40 given up, 51 to 60 held; nobody has the others.
    parcel = site.parcel(site.batch(1, 10), head=60, held=RangeSet.of((51, 60)), receipts=[evicted])
    await hub.deliver(parcel, "ship-1")

    asked = ask_again(fleet.commands, "ship-1", None, "ann")
    assert [(each.command, each.arguments) for each in asked.commands] == [
        ("resend", {"stream": "boiler", "first": "11", "last": "30"}),
        ("resend", {"stream": "boiler", "first": "41", "last": "50"}),
    ]
    assert asked.left == 0
    assert [(each.first, each.last, each.asked_by, each.outcome) for each in told(hub)] == [
        (41, 50, "ann", None),
        (11, 30, "ann", None),
    ]
    with pytest.raises(Conflict, match="nothing to ask"):
        ask_again(fleet.commands, "ship-1", None, "ann")

    [order] = fleet.orders("ship-1")
    answer = CommandReport(order.number, done=True, text="0 batch(es)", data=b"")
    fleet.desk.take_report(fleet.sites["ship-1"].report(command=answer), "ship-1")
    assert [(each.first, each.outcome, each.text) for each in told(hub)] == [
        (41, None, ""),
        (11, "done", "0 batch(es)"),
    ]
    # What was answered may be asked for anew, and what comes then is stored.
    [again] = ask_again(fleet.commands, "ship-1", "boiler", "bob").commands
    assert again.arguments["first"] == "11"
    await hub.deliver(site.parcel(site.batch(11, 20), head=60, held=RangeSet.of((51, 60))), "ship-1")
    assert hub.stored("ship-1") == list(range(1, 31))


async def test_many_ranges_are_asked_for_some_at_a_time(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    fleet.add("ship-1")
    await fleet.come()
    site = fleet.sites["ship-1"].site
    count = 2 * (MOST_AT_ONCE + 3)
    batches = [site.batch(at, 1) for at in range(2, count + 1, 2)]
    claim = Claim(site.incarnation, "boiler", count, [])
    await hub.deliver(site.parcel(*batches, claims=[claim]), "ship-1")
    asked = ask_again(fleet.commands, "ship-1", None, "ann")
    assert (len(asked.commands), asked.left) == (MOST_AT_ONCE, 3)


async def test_who_has_nothing_to_be_asked_for_and_who_is_not_there(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    fleet.add("ship-1")
    await fleet.come()
    with pytest.raises(Conflict):
        ask_again(fleet.commands, "ship-1", None, "ann")
    with pytest.raises(Unknown):
        ask_again(fleet.commands, "nobody", None, "ann")


def told(hub: HubWorld) -> list[ResendRow]:
    with reading(hub.engine) as connection:
        return resends(connection, "ship-1")
