"""A fleet that is steered, on both databases."""

from __future__ import annotations

import pytest

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.orders.rollout import RolloutState, Strategy
from farshore_protocol.orders import CommandReport, Outcome, SettingsReport
from tests.contracts.hub_world import HubWorld
from tests.contracts.steered_fleet import Fleet

FLEET = {"fleet.toml": '[seal]\nlinger = "2 s"\n'}
OTHER = {"fleet.toml": '[seal]\nlinger = "3 s"\n'}
IN_TWO = Strategy(("1", "100%"), soak_s=60)


@pytest.fixture
async def fleet(hub: HubWorld) -> Fleet:
    made = Fleet(hub)
    made.add("ship-1", "ship-2", "ship-3", region="north")
    await made.come()
    return made


async def test_a_canary_comes_first_and_the_rest_after_it_was_kept_and_has_soaked(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, IN_TWO, "alice")
    fleet.steering.turn()
    [canary] = [name for name in fleet.sites if fleet.orders(name)]
    assert fleet.after(30).why == "1 sites of stage 1 have not reported for good"
    fleet.answer(outcome=Outcome.PROBING)
    assert fleet.after(1).stage == 1
    [order] = [fleet.last[canary].latest]
    site = fleet.sites[canary]
    fleet.last[canary] = SettingsReport(order, order, Outcome.KEPT)
    fleet.desk.take_report(site.report(settings=fleet.last[canary]), canary)
    assert fleet.after(59).why == "stage 1 soaks for 1 s more"
    assert fleet.after(1).stage == 2
    fleet.steering.turn()
    assert len(fleet.answer()) == 2
    assert fleet.after(60).state is RolloutState.DONE
    said = fleet.rollouts.story(1).events
    assert [(each.deed, each.said_by) for each in said] == [("went on", ""), ("ended", "")]


async def test_sites_that_are_away_hold_nothing_up_and_take_part_when_they_return(fleet: Fleet) -> None:
    fleet.add("ship-4", region="south")
    fleet.hub.clock.at_us += 2000 * 1_000_000
    await fleet.come("ship-1", "ship-2")
    fleet.config.apply(FLEET, Strategy(), "alice")
    fleet.steering.turn()
    fleet.answer("ship-1", "ship-2")
    done = fleet.after(1)
    assert (done.state, done.counts) == (RolloutState.DONE, {"kept": 2, "ordered": 1, "waiting": 1})
    assert len(fleet.orders("ship-3")) == 1
    await fleet.come("ship-3", "ship-4")
    fleet.steering.turn()
    assert fleet.answer() == ["ship-3", "ship-4"]
    assert fleet.after(1).counts == {"kept": 4}


async def test_a_command_goes_to_every_site_of_a_group_or_to_none(fleet: Fleet) -> None:
    fleet.add("ship-4", region="north")
    with pytest.raises(Conflict, match="ship-4 takes no orders"):
        fleet.commands.order(["ship-1", "ship-4"], "flush", {}, 600, "alice")
    assert fleet.orders("ship-1") == []
    made = fleet.commands.order(fleet.commands.chosen({"region": "north"}), "pause", {"stream": "boiler"}, 600, "alice")
    assert [each.site for each in made] == ["ship-1", "ship-2", "ship-3"]
    [order] = fleet.orders("ship-1")
    answer = CommandReport(order.number, done=False, text="there is no such stream", data=b"x")
    fleet.desk.take_report(fleet.sites["ship-1"].report(command=answer), "ship-1")
    [first, second, _] = fleet.commands.find([each.id for each in made])
    assert (first.outcome, first.text, second.outcome) == ("failed", "there is no such stream", None)
    assert fleet.commands.data(first.id) == b"x"
    with pytest.raises(Unknown, match="brought no data"):
        fleet.commands.data(second.id)
    fleet.hub.clock.at_us += 600 * 1_000_000
    fleet.steering.turn()
    assert {each.outcome for each in fleet.commands.listed()} == {"failed", "expired"}


async def test_texts_that_a_database_does_not_take_are_refused_before_it_sees_them(fleet: Fleet) -> None:
    for refused in (
        lambda: fleet.config.apply(FLEET, Strategy(), "alice", "a\0b"),
        lambda: fleet.rollouts.pause(1, "alice", "a\0b"),
        lambda: fleet.commands.order(["a\0b"], "flush", {}, 600, "alice"),
        lambda: fleet.commands.order(["ship-1"], "a\0b", {}, 600, "alice"),
        lambda: fleet.secrets.delete("a\0b", "alice"),
    ):
        with pytest.raises((Invalid, Unknown)):
            refused()
