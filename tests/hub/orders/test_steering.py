"""A fleet that is steered: layers, secrets, stages, halts, sites that are away, new or reset."""

from __future__ import annotations

import pytest

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.orders.rollout import RolloutState, Strategy
from farshore_hub.orders.steering import COMMANDS_KEPT_US, DATA_KEPT_US
from farshore_hub.store import deeds, site_reports
from farshore_hub.store.engine import reading, writing
from farshore_protocol.orders import CommandReport, Outcome, SettingsReport
from tests.contracts.steered_fleet import Fleet

FLEET = {"fleet.toml": '[seal]\nlinger = "2 s"\n'}
OTHER = {"fleet.toml": '[seal]\nlinger = "3 s"\n'}
IN_TWO = Strategy(("1", "100%"), soak_s=60)


async def test_a_revision_comes_to_all_sites_and_those_without_a_change_get_no_order(fleet: Fleet) -> None:
    applied = fleet.config.apply(FLEET, Strategy(), "alice", "quieter")
    assert (applied.revision, applied.sites) == (1, 3)
    fleet.steering.turn()
    assert fleet.settings("ship-2") == '[seal]\nlinger = "2 s"\n'
    assert fleet.answer() == ["ship-1", "ship-2", "ship-3"]
    assert fleet.after(1).state is RolloutState.DONE
    again = fleet.config.apply(FLEET | {"sites/ship-2.toml": "[seal]\nmax_records = 5\n"}, Strategy(), "bob")
    assert again.sites == 1
    fleet.steering.turn()
    assert fleet.answer() == ["ship-2"]
    assert fleet.after(1).counts == {"kept": 1}
    assert [(each.id, each.made_by, each.note) for each in fleet.config.history()] == [
        (2, "bob", ""),
        (1, "alice", "quieter"),
    ]
    assert fleet.config.apply(fleet.config.files(1), Strategy(), "bob").sites == 1


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.ROLLED_BACK])
async def test_a_canary_that_does_not_keep_it_halts_the_rollout_and_nobody_else_is_ordered_anything(
    fleet: Fleet, outcome: Outcome
) -> None:
    fleet.config.apply(FLEET, IN_TWO, "alice")
    fleet.steering.turn()
    fleet.answer(outcome=outcome, why="the hub was not reached for 60 s")
    halted = fleet.after(1000)
    assert (halted.state, halted.stage) == (RolloutState.HALTED, 1)
    assert fleet.answer() == []
    [failed] = [each for each in fleet.rollouts.story(1).sites if each.problems]
    assert (failed.part, failed.problems) == (outcome.value, ["the hub was not reached for 60 s"])
    with pytest.raises(Conflict, match="rollout 1 of revision 1 is halted"):
        fleet.config.apply(OTHER, Strategy(), "alice")
    assert fleet.rollouts.abort(1, "alice", "bad idea").state is RolloutState.ABORTED
    assert fleet.config.apply(OTHER, Strategy(), "alice").sites == 3


async def test_what_was_rolled_back_is_ordered_again_only_if_that_is_asked_for(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, Strategy(halt={}), "alice")
    fleet.steering.turn()
    fleet.answer(outcome=Outcome.ROLLED_BACK)
    assert fleet.after(1).state is RolloutState.DONE
    assert fleet.config.apply(FLEET, Strategy(), "alice").sites == 0
    assert fleet.config.apply(FLEET, Strategy(again=True), "alice").sites == 3
    fleet.steering.turn()
    assert len(fleet.answer()) == 3


async def test_a_site_that_is_new_or_has_joined_anew_gets_what_the_fleet_has(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, Strategy(), "alice")
    fleet.steering.turn()
    fleet.answer()
    fleet.after(1)
    fleet.add("ship-9")
    with writing(fleet.hub.engine) as connection:
        site_reports.forget(connection, fleet.id_of("ship-1"), fleet.hub.clock.now_us())
    fleet.last.clear()
    fleet.sites["ship-1"].number = 0
    await fleet.come("ship-1", "ship-9")
    fleet.steering.turn()
    assert fleet.answer() == ["ship-1", "ship-9"]


async def test_a_site_that_no_longer_knows_what_it_kept_gets_it_again(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, Strategy(), "alice")
    fleet.steering.turn()
    fleet.answer()
    fleet.after(1)
    del fleet.last["ship-2"]
    await fleet.come("ship-2", "ship-3")
    fleet.steering.turn()
    assert fleet.answer() == ["ship-2"]


async def test_a_hub_that_was_restored_brings_sites_back_to_what_it_knows_with_a_number_that_they_take(
    fleet: Fleet,
) -> None:
    fleet.config.apply(FLEET, Strategy(), "alice")
    fleet.steering.turn()
    fleet.answer("ship-1")
    seen = fleet.hub.clock.now_us() + 10**12
    # What the hub has forgotten: settings that ship-1 kept, and ship-2 has refused.
    fleet.last["ship-1"] = SettingsReport(seen, seen, Outcome.KEPT)
    fleet.last["ship-2"] = SettingsReport(0, seen, Outcome.REFUSED)
    fleet.answer("ship-3")
    await fleet.come("ship-1", "ship-2")
    fleet.after(1)
    fleet.steering.turn()
    assert [order.number for name in ("ship-1", "ship-2") for order in fleet.orders(name)] == [seen + 1] * 2
    assert fleet.answer() == ["ship-1", "ship-2"]
    assert fleet.after(1).counts == {"kept": 3}


async def test_what_an_answer_brought_is_not_kept_for_ever(fleet: Fleet) -> None:
    [made] = fleet.commands.order(["ship-1"], "support-bundle", {}, 600, "alice")
    [order] = fleet.orders("ship-1")
    answer = CommandReport(order.number, done=True, data=b"PK")
    fleet.desk.take_report(fleet.sites["ship-1"].report(command=answer), "ship-1")
    fleet.steering.turn()
    assert fleet.commands.data(made.id) == b"PK"
    fleet.hub.clock.at_us += DATA_KEPT_US + 1
    fleet.steering.turn()
    with pytest.raises(Unknown, match="brought no data"):
        fleet.commands.data(made.id)
    fleet.hub.clock.at_us += COMMANDS_KEPT_US
    fleet.steering.turn()
    assert fleet.commands.listed() == []


async def test_settings_that_a_site_would_refuse_are_said_before_anything_is_published(fleet: Fleet) -> None:
    fleet.sites["ship-3"].accepts = ["forward"]
    await fleet.come("ship-3")
    with pytest.raises(Invalid) as caught:
        fleet.config.apply(FLEET | {"sites/ship-1.toml": "[seal]\nlinger = 3\nspeed = 9\n"}, Strategy(), "alice")
    text = caught.value.detail
    for said in (
        "sites/ship-1.toml: seal.linger",
        "sites/ship-1.toml: seal.speed",
        "ship-3: fleet.toml: seal.linger may not",
    ):
        assert said in text
    assert fleet.config.history() == []
    with pytest.raises(Invalid, match="for no site of this hub"):
        fleet.config.apply({"sites/shop-1.toml": ""}, Strategy(), "alice")
    assert fleet.config.apply(FLEET, Strategy(), "alice", skip_invalid=True).sites == 2


async def test_an_agent_that_takes_the_settings_no_more_after_a_change_of_its_own_halts_it(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, IN_TWO, "alice")
    for site in fleet.sites.values():
        site.accepts = ["forward"]
    await fleet.come()
    fleet.steering.turn()
    assert not any(fleet.orders(name) for name in fleet.sites)
    assert fleet.after(1).state is RolloutState.HALTED
    [invalid] = [each for each in fleet.rollouts.story(1).sites if each.problems]
    assert "may not be changed from here" in invalid.problems[0]


async def test_a_secret_is_in_the_order_alone_and_a_new_one_changes_the_sites_that_use_it(fleet: Fleet) -> None:
    files = FLEET | {"groups/south.toml": 'layer.labels.region = "south"\nforward.token = "${secret.KEY}"\n'}
    fleet.label("ship-3", region="south")
    with pytest.raises(Invalid, match=r"groups/south.toml: forward.token names \$\{secret.KEY\}"):
        fleet.config.apply(files, Strategy(), "alice")
    fleet.secrets.set("KEY", "hush-hush", "alice")
    [change] = [each for each in fleet.config.preview(files).changes if each.site == "ship-3"]
    assert "${secret.KEY}" in change.after
    fleet.config.apply(files, Strategy(), "alice")
    fleet.steering.turn()
    assert 'token = "hush-hush"' in fleet.settings("ship-3")
    fleet.answer()
    fleet.after(1)
    with reading(fleet.hub.engine) as connection:
        assert "hush" not in str(deeds.deeds(connection, None, 100))
    assert "hush" not in str(fleet.secrets.listing())
    fleet.secrets.set("KEY", "another", "alice")
    assert fleet.config.apply(files, Strategy(), "alice").sites == 1
    fleet.steering.turn()
    assert 'token = "another"' in fleet.settings("ship-3")


async def test_a_rollout_can_be_paused_resumed_and_sent_on_and_everything_is_written_down(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, IN_TWO, "alice")
    fleet.rollouts.pause(1, "bob", "lunch")
    fleet.steering.turn()
    assert fleet.answer() == []
    with pytest.raises(Conflict):
        fleet.rollouts.pause(1, "bob")
    fleet.rollouts.resume(1, "bob")
    assert fleet.rollouts.advance(1, "carol").stage == 2
    with pytest.raises(Conflict, match="last stage"):
        fleet.rollouts.advance(1, "carol")
    fleet.steering.turn()
    assert len(fleet.answer()) == 3
    events = [(each.said_by, each.deed, each.text) for each in fleet.rollouts.story(1).events]
    assert events == [("bob", "paused", "lunch"), ("bob", "resumed", ""), ("carol", "sent on", "")]
    with pytest.raises(Unknown):
        fleet.rollouts.abort(2, "bob")


async def test_another_process_goes_on_where_one_was_killed_and_two_do_not_steer_at_once(fleet: Fleet) -> None:
    fleet.config.apply(FLEET, IN_TWO, "alice")
    fleet.steering.turn()
    other = fleet.another_steering()
    other.turn()
    assert (fleet.steering.is_ours, other.is_ours) == (True, False)
    fleet.answer()
    fleet.hub.clock.at_us += 61 * 1_000_000
    fleet.steering = other
    fleet.after(0)
    assert other.is_ours
    fleet.steering.turn()
    assert len(fleet.answer()) == 2
