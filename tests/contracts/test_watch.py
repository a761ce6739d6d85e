"""The watch on a real store, both databases: every kind is raised and cleared, told once, and survives a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from farshore_hub.alerts.kinds import Kind
from farshore_hub.alerts.rules import Change, Rules
from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.expect.calendar import parse_calendar, parse_zone
from farshore_hub.ledger.account import Account
from farshore_hub.notify.channel import NotDelivered
from farshore_hub.notify.courier import MOST_REFUSALS, Courier
from farshore_hub.store import labels, messages
from farshore_hub.store.accounts import open_accounts, read_accounts, read_troubled, save_accounts
from farshore_hub.store.alerts import Asked
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.messages import Message
from farshore_hub.store.schema import accounts, batches, intervals, sites
from farshore_hub.watch.book import Book
from farshore_hub.watch.desk import Desk
from farshore_hub.watch.outbox import Audience, Outbox
from farshore_hub.watch.promises import Promises
from farshore_hub.watch.seeing import Eyes
from farshore_hub.watch.watcher import Watcher, WatchSettings
from farshore_protocol.messages import Claim, Reason, Receipt
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld, inline

EVERY_S = 300
HOUR_S = 3600
EVERYBODY = Audience("ears")
NOISE = (Kind.CLOCK_OFFSET, Kind.LAKE_STUCK)
"""What the sites of these tests are guilty of too; switched off where it is not the matter."""


@dataclass
class Ears:
    """A channel that the test listens with."""

    name: str = "ears"
    told: list[dict[str, Any]] = field(default_factory=list)
    faults: list[NotDelivered] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        self.keys.append(message.key)
        if self.faults:
            raise self.faults.pop(0)
        self.told += json.loads(message.body)["alerts"]
        self.heard.set()

    async def close(self) -> None:
        pass


class HangingEars(Ears):
    """A channel that never comes back."""

    async def send(self, message: Message) -> None:
        await asyncio.Event().wait()


class Watch:
    """A watcher over a hub's store, and what it tells."""

    def __init__(
        self,
        hub: HubWorld,
        *changes: Change,
        folders: dict[str, Path] | None = None,
        audience: Audience = EVERYBODY,
        **settings: int,
    ) -> None:
        self.hub = hub
        self.ears = Ears()
        self.lake_fault = ""
        self.rules = Rules([*(Change(kind, off=True) for kind in NOISE), *changes])
        promises = Promises(hub.engine, [], [], 900)
        self.eyes = Eyes(hub.engine, self.rules, folders or {}, lambda: self.lake_fault, promises)
        outbox = Outbox("hub", [audience], hub.random.token, "docs/runbooks/")
        book = Book(self.rules, outbox)
        self.settings = WatchSettings(**{"every_s": EVERY_S, "grace_s": 0, **settings})
        self.watcher = Watcher(hub.engine, self.eyes, book, hub.clock, inline, self.settings)
        self.desk = Desk(hub.engine, hub.clock, outbox)
        self.courier = Courier(
            hub.engine, [self.ears], hub.clock, hub.random, inline, is_ours=lambda: self.watcher.is_ours
        )

    async def pass_(self, seconds: int, *hearing: str) -> None:
        """Let time pass, with a look every so often; sites are heard just before it."""
        for _ in range(seconds // EVERY_S):
            self.hub.clock.at_us += EVERY_S * 1_000_000
            for site in hearing:
                heard(self.hub, site)
            self.watcher.look()
            await self.courier.deliver(self.ears)

    def stands(self) -> set[tuple[str, str, str]]:
        return {(alert.kind.value, alert.site, alert.stream) for alert in self.desk.listed(Asked())}

    def said(self) -> list[tuple[str, str]]:
        return [(alert["change"], alert["kind"]) for alert in self.ears.told]


def heard(hub: HubWorld, site: str, **values: int | str | None) -> None:
    with writing(hub.engine) as connection:
        values = {"last_seen_us": hub.clock.now_us(), **values}
        connection.execute(update(sites).where(sites.c.name == site).values(**values))


async def test_a_gap_is_raised_told_once_and_cleared_when_it_is_filled(hub: HubWorld) -> None:
    watch, site = Watch(hub), hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 10), head=30, held=RangeSet.of((21, 30))), "ship-1")
    await watch.pass_(15 * 60, "ship-1")
    assert ("gap", "ship-1", "boiler") not in watch.stands()
    await watch.pass_(5 * 60, "ship-1")
    assert watch.stands() == {("gap", "ship-1", "boiler")}
    [told] = watch.ears.told
    assert "boiler 11-20" in told["text"]
    assert (told["value"], told["unit"], told["severity"], told["runbook"]) == (
        10,
        "records",
        "critical",
        "docs/runbooks/gap.md",
    )
    await hub.deliver(site.parcel(site.batch(11, 10), head=30, held=RangeSet.of((21, 30))), "ship-1")
    await watch.pass_(10 * 60, "ship-1")
    assert watch.stands() == set()
    assert watch.said() == [("raised", "gap"), ("cleared", "gap")]
    [alert] = watch.desk.listed(Asked(open_only=False))
    assert [event.change for event in watch.desk.story(alert.id).events] == ["raised", "cleared"]


async def test_gaps_that_come_and_go_are_not_one_old_gap(hub: HubWorld) -> None:
    watch, site = Watch(hub, Change(Kind.SITE_SILENT, off=True)), hub.add_site("ship-1")
    first = 1
    for _ in range(6):
        await hub.deliver(site.parcel(head=first + 9), "ship-1")
        await watch.pass_(5 * 60)
        await hub.deliver(site.parcel(site.batch(first, 10), head=first + 19), "ship-1")
        first += 10
    assert watch.said() == []


async def test_every_kind_is_raised_and_cleared(hub: HubWorld, tmp_path: Path) -> None:
    everything = [Change(kind, off=False) for kind in NOISE]
    full = Change(Kind.HUB_DISK, raise_at=0.001, clear_below=0.0001)
    watch, site = Watch(hub, full, *everything, folders={"data": tmp_path}), hub.add_site("ship-1")
    for name in ("silent", "clock"):
        hub.add_site(name)
    now_us = hub.clock.now_us()
    old = Claim(site.incarnation, "boiler", 10, [1, 10], now_us - 7 * HOUR_S * 1_000_000)
    claims = [old, site.claim(5, stream="pump")]
    receipt = Receipt(site.incarnation, "pump", 1, 5, Reason.DAMAGED, 5)
    await hub.deliver(site.parcel(claims=claims, receipts=[receipt]), "ship-1")
    await hub.deliver(site.parcel(site.batch(1, 5, stream="fork"), number=2), "ship-1")
    await hub.deliver(site.parcel(site.batch(1, 5, stream="fork", says="other"), number=3), "ship-1")
    heard(hub, "silent", enrolled_us=now_us)
    expected = {
        ("pending-age", "ship-1", "boiler"),
        ("receipts", "ship-1", "pump"),
        ("fork", "ship-1", "fork"),
        ("site-silent", "silent", ""),
        ("clock-offset", "clock", ""),
        ("lake-stuck", "", ""),
        ("hub-disk", "", ""),
    }
    heard(hub, "ship-1", clock_offset_us=0)
    heard(hub, "clock", clock_offset_us=-90_000_000)
    await watch.pass_(9 * EVERY_S, "ship-1", "clock")
    assert watch.stands() == expected
    assert {alert["kind"] for alert in watch.ears.told} == {kind for kind, _, _ in expected}
    assert all(alert["text"] and alert["runbook"].endswith(f"/{alert['kind']}.md") for alert in watch.ears.told)
    # All is well again: delivered, spoken, set right, written, and given room.
    await hub.deliver(site.parcel(site.batch(1, 10), claims=[site.claim(10)], number=99), "ship-1")
    with writing(hub.engine) as connection:
        connection.execute(update(batches).values(quarantined="read elsewhere"))
    watch.eyes.folders.clear()
    for each in ("ship-1", "clock"):
        heard(hub, each, clock_offset_us=0)
    hub.clock.at_us += 25 * HOUR_S * 1_000_000
    await watch.pass_(4 * EVERY_S, "ship-1", "silent", "clock")
    assert watch.stands() == set()
    assert sorted(watch.said()) == sorted((change, kind) for kind, _, _ in expected for change in ("cleared", "raised"))


async def test_what_was_raised_outlives_the_hub_and_what_was_rising_waits_anew(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(head=10), "ship-1")
    first = Watch(hub, Change(Kind.SITE_SILENT, off=True))
    await first.pass_(10 * 60)
    first.watcher.release()
    hub.clock.at_us += 3 * HOUR_S * 1_000_000
    second = Watch(hub, Change(Kind.SITE_SILENT, off=True))
    await second.pass_(15 * 60)
    assert second.stands() == set()
    await second.pass_(5 * 60)
    assert second.stands() == {("gap", "ship-1", "boiler")}
    second.watcher.release()
    third = Watch(hub, Change(Kind.SITE_SILENT, off=True))
    await third.pass_(HOUR_S)
    assert third.stands() == {("gap", "ship-1", "boiler")}
    assert third.said() == []


async def test_a_hub_that_was_away_does_not_call_all_sites_silent(hub: HubWorld) -> None:
    for name in ("a", "b"):
        hub.add_site(name)
        heard(hub, name)
    hub.clock.at_us += 24 * HOUR_S * 1_000_000
    watch = Watch(hub, grace_s=600)
    await watch.pass_(5 * 60)
    await watch.pass_(10 * 60, "a")
    assert watch.stands() == {("site-silent", "b", "")}


async def test_of_two_processes_one_watches_and_the_other_takes_over(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    one, other = Watch(hub), Watch(hub)
    for _ in range(4):
        await one.pass_(EVERY_S)
        other.watcher.look()
        await other.courier.deliver(other.ears)
    assert (one.watcher.is_ours, other.watcher.is_ours) == (True, False)
    assert (one.said(), other.said()) == ([("raised", "site-silent")], [])
    # It dies without a word: its lease ends by itself.
    hub.clock.at_us += 5 * EVERY_S * 1_000_000
    other.watcher.look()
    assert other.watcher.is_ours
    one.watcher.look()
    assert not one.watcher.is_ours


async def test_what_is_silenced_stands_and_is_told_when_the_silence_ends(hub: HubWorld) -> None:
    hub.add_site("pump-1")
    heard(hub, "pump-1")
    watch = Watch(hub)
    made = watch.desk.silence(None, "pump-*", "*", 2 * HOUR_S, "works", "me")
    await watch.pass_(HOUR_S)
    assert (watch.stands(), watch.said()) == ({("site-silent", "pump-1", "")}, [])
    watch.desk.end_silence(made.id)
    await watch.pass_(EVERY_S)
    assert watch.said() == [("raised", "site-silent")]
    with pytest.raises(Unknown):
        watch.desk.end_silence(made.id)


async def test_a_silence_of_another_kind_or_site_silences_nothing(hub: HubWorld) -> None:
    hub.add_site("pump-1")
    heard(hub, "pump-1")
    watch = Watch(hub)
    watch.desk.silence(Kind.FORK, "*", "*", 2 * HOUR_S, "", "me")
    watch.desk.silence(None, "ship-*", "*", 2 * HOUR_S, "", "me")
    await watch.pass_(HOUR_S)
    assert watch.said() == [("raised", "site-silent")]


async def test_maintenance_explains_a_silence_and_never_a_loss(hub: HubWorld) -> None:
    site = hub.add_site("pump-1")
    await hub.deliver(site.parcel(head=10), "pump-1")
    watch = Watch(hub)
    now_us = hub.clock.now_us()
    watch.desk.maintain("pump-1", None, now_us + 2 * HOUR_S * 1_000_000, "new router", "me")
    await watch.pass_(HOUR_S)
    assert watch.stands() == {("site-silent", "pump-1", ""), ("gap", "pump-1", "boiler")}
    assert watch.said() == [("raised", "gap")]
    await watch.pass_(HOUR_S + EVERY_S)
    assert watch.said() == [("raised", "gap"), ("raised", "site-silent")]


async def test_quiet_hours_hold_in_their_time_zone(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    # Monday noon in UTC is one o'clock in Berlin.
    quiet = parse_calendar("Mon 13:00-14:00", parse_zone("Europe/Berlin"))
    watch = Watch(hub, Change(Kind.SITE_SILENT, quiet=quiet))
    hour_us = HOUR_S * 1_000_000
    hub.clock.at_us += -hub.clock.at_us % (7 * 24 * hour_us) + (4 * 24 + 12) * hour_us
    heard(hub, "a")
    await watch.pass_(55 * 60)
    assert (watch.stands(), watch.said()) == ({("site-silent", "a", "")}, [])
    await watch.pass_(5 * 60)
    assert watch.said() == [("raised", "site-silent")]


async def test_an_alert_is_acknowledged_once_while_it_stands(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub)
    await watch.pass_(20 * 60)
    [alert] = watch.desk.listed(Asked())
    assert watch.desk.acknowledge(alert.id, "ann", "on my way").state == "acknowledged"
    with pytest.raises(Conflict, match="ann"):
        watch.desk.acknowledge(alert.id, "bob")
    await watch.pass_(2 * EVERY_S, "a")
    cleared = watch.desk.story(alert.id)
    assert (cleared.alert.state, cleared.alert.acknowledged_by) == ("cleared", "ann")
    assert [event.said_by for event in cleared.events] == ["", "ann", ""]
    with pytest.raises(Conflict, match="over"):
        watch.desk.acknowledge(alert.id, "bob")
    for unknown in (alert.id + 1, 10**15):
        with pytest.raises(Unknown):
            watch.desk.story(unknown)


async def test_a_fleet_that_falls_silent_is_a_few_messages(hub: HubWorld) -> None:
    for n in range(250):
        hub.add_site(f"s-{n}")
    with writing(hub.engine) as connection:
        connection.execute(update(sites).values(last_seen_us=hub.clock.now_us()))
    watch = Watch(hub)
    await watch.pass_(20 * 60)
    assert len(watch.ears.told) == 250
    assert len(watch.ears.keys) == 3
    assert len({alert["site"] for alert in watch.ears.told}) == 250


async def test_a_message_is_sent_again_under_its_key_until_it_arrives_and_in_order(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub)
    watch.ears.faults = [NotDelivered("down"), NotDelivered("down", retry_after_s=700), NotDelivered("down")]
    await watch.pass_(4 * EVERY_S)
    await watch.pass_(9 * EVERY_S, "a")
    assert watch.said() == [("raised", "site-silent"), ("cleared", "site-silent")]
    assert len(watch.ears.keys) == 5
    assert len(set(watch.ears.keys)) == 2
    assert watch.desk.waiting() == []


async def test_a_message_that_nobody_takes_is_given_up_and_counted(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub, give_up_s=HOUR_S)
    watch.ears.faults = [NotDelivered("down")] * 1000
    await watch.pass_(20 * 60)
    [waiting] = watch.desk.waiting()
    assert (waiting.channel, waiting.waiting, waiting.fault) == ("ears", 1, "down")
    hub.clock.at_us += 3 * HOUR_S * 1_000_000
    await watch.pass_(EVERY_S)
    with reading(hub.engine) as connection:
        assert messages.ended_counts(connection) == {("ears", False): 1}
    assert watch.desk.waiting() == []


async def test_a_message_that_is_refused_lets_the_next_ones_pass(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub)
    watch.ears.faults = [NotDelivered("it answered 400", is_refusal=True)] * MOST_REFUSALS
    await watch.pass_(40 * 60)
    await watch.pass_(2 * EVERY_S, "a")
    assert watch.said() == [("cleared", "site-silent")]


async def test_who_does_not_want_a_kind_is_not_told_of_it(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub, audience=Audience("ears", frozenset({Kind.FORK})))
    await watch.pass_(HOUR_S)
    assert watch.stands() == {("site-silent", "a", "")}
    assert watch.ears.keys == []


async def test_those_who_were_told_of_an_alert_are_told_who_takes_care_of_it(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub)
    await watch.pass_(20 * 60)
    [alert] = watch.desk.listed(Asked())
    watch.desk.acknowledge(alert.id, "ann", "on my way")
    await watch.courier.deliver(watch.ears)
    assert watch.said() == [("raised", "site-silent"), ("acknowledged", "site-silent")]
    told = watch.ears.told[-1]
    assert (told["id"], told["acknowledged_by"], told["note"]) == (alert.id, "ann", "on my way")
    assert told["acknowledged_us"] == hub.clock.now_us()
    with pytest.raises(Conflict):
        watch.desk.acknowledge(alert.id, "bob")
    await watch.pass_(EVERY_S)
    assert len(watch.ears.told) == 2


async def test_an_alert_that_nobody_was_told_of_is_taken_care_of_quietly(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub)
    watch.desk.silence(None, "*", "*", HOUR_S, "", "ann")
    await watch.pass_(20 * 60)
    [alert] = watch.desk.listed(Asked())
    watch.desk.acknowledge(alert.id, "ann")
    await watch.pass_(EVERY_S)
    assert watch.said() == []
    await watch.pass_(HOUR_S)
    assert [(each["change"], each["acknowledged_by"]) for each in watch.ears.told] == [("raised", "ann")]


async def test_rules_and_channels_go_by_the_labels_of_sites(hub: HubWorld) -> None:
    for name, region in (("a", "north"), ("b", "south"), ("c", "")):
        hub.add_site(name)
        heard(hub, name)
        label(hub, name, region)
    watch = Watch(
        hub,
        Change(Kind.SITE_SILENT, off=True, labels={"region": ("west", "south")}),
        audience=Audience("ears", labels={"region": ("north", "south")}),
    )
    await watch.pass_(20 * 60)
    assert watch.stands() == {("site-silent", "a", ""), ("site-silent", "c", "")}
    assert [each["site"] for each in watch.ears.told] == ["a"]
    for alert in watch.desk.listed(Asked()):
        watch.desk.acknowledge(alert.id, "ann")
    await watch.courier.deliver(watch.ears)
    assert [(each["site"], each["change"]) for each in watch.ears.told] == [("a", "raised"), ("a", "acknowledged")]
    # Labels may change while an alert stands.
    label(hub, "a", "west")
    await watch.pass_(2 * EVERY_S)
    assert watch.stands() == {("site-silent", "c", "")}


def label(hub: HubWorld, site: str, region: str) -> None:
    with writing(hub.engine) as connection:
        site_id = connection.scalar(select(sites.c.id).where(sites.c.name == site))
        labels.set_labels(connection, site_id or 0, {"region": region} if region else {}, ["region"])


async def test_alerts_that_are_long_over_are_forgotten(hub: HubWorld) -> None:
    hub.add_site("a")
    heard(hub, "a")
    watch = Watch(hub, keep_s=2 * HOUR_S)
    await watch.pass_(20 * 60)
    await watch.pass_(2 * EVERY_S, "a")
    assert len(watch.desk.listed(Asked(open_only=False))) == 1
    hub.clock.at_us += 3 * HOUR_S * 1_000_000
    await watch.pass_(EVERY_S, "a")
    assert watch.desk.listed(Asked(open_only=False)) == []


async def test_a_revoked_site_says_nothing(hub: HubWorld) -> None:
    site = hub.add_site("a")
    await hub.deliver(site.parcel(head=10), "a")
    hub.revoke("a")
    watch = Watch(hub)
    await watch.pass_(HOUR_S)
    assert watch.stands() == set()


async def test_what_makes_no_sense_is_refused(hub: HubWorld) -> None:
    desk = Watch(hub).desk
    for wrong in (
        lambda: desk.silence(None, "A B", "*", 5, "", "me"),
        lambda: desk.silence(None, "*", "*", 5, "x" * 2000, "me"),
        lambda: desk.maintain("*", 5, 4, "", "me"),
        lambda: desk.maintain("[", None, 10**17, "", "me"),
    ):
        with pytest.raises(Invalid):
            wrong()


async def test_the_courier_serves_every_channel_and_none_holds_up_another(hub: HubWorld) -> None:
    slow, quick = HangingEars("slow"), Ears("quick")
    with writing(hub.engine) as connection:
        messages.put(connection, [("slow", "1", "{}"), ("quick", "2", '{"alerts": [{"n": 1}]}')], hub.clock.now_us())
    courier = Courier(hub.engine, [slow, quick], hub.clock, hub.random, inline, is_ours=lambda: True)
    running = asyncio.create_task(courier.run())
    await asyncio.wait_for(quick.heard.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with reading(hub.engine) as connection:
        assert [each.channel for each in messages.waiting(connection)] == ["slow"]


pieces = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["stored", "receipted", "held", "gap"])), max_size=5)


@given(st.lists(pieces, min_size=1, max_size=6), st.sampled_from([None, 5, 50]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_quick_look_misses_no_gap(hub: HubWorld, lives: list[list[tuple[int, str]]], oldest_us: int | None) -> None:
    """What is read by bounds alone is what the balance of every account says."""
    with writing(hub.engine) as connection:
        for table in (intervals, accounts, sites):
            connection.execute(delete(table))
        connection.execute(insert(sites).values(id=1, name="a", state="active", created_us=0))
        keys: dict[tuple[int, bytes, str], Account] = {}
        for n, life in enumerate(lives):
            ranges: dict[str, list[tuple[int, int]]] = {}
            at = 1
            for length, kind in life:
                ranges.setdefault(kind, []).append((at, at + length - 1))
                at += length
            stored, receipted, held = (RangeSet.of(*ranges.get(each, [])) for each in ("stored", "receipted", "held"))
            oldest = oldest_us if held else None
            keys[1, bytes([n]) * 8, "s"] = Account(stored, receipted, head=at - 1, held=held, oldest_us=oldest)
        opened = open_accounts(connection, set(keys))
        save_accounts(connection, {opened[key][0]: (opened[key][1], after) for key, after in keys.items()}, 0)
    with reading(hub.engine) as connection:
        every = list(read_accounts(connection))
        found = {row.incarnation: row for row in read_troubled(connection, 20)}
    wrong = {row.incarnation for row in every if row.stands.gaps or (row.stands.pending and row.oldest_us == 5)}
    assert wrong <= found.keys()
    assert all(found[row.incarnation] == row for row in every if row.incarnation in wrong)
