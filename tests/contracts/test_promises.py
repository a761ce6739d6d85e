"""Expectations and objectives on a real store, both databases."""

from __future__ import annotations

import math

from sqlalchemy import select, update

from farshore_hub.alerts.decide import Observation, Subject
from farshore_hub.alerts.kinds import Kind
from farshore_hub.expect.calendar import ALWAYS
from farshore_hub.expect.expectation import Expectation
from farshore_hub.expect.objective import Basis, Objective
from farshore_hub.expect.rate import Rate
from farshore_hub.store.days import Day
from farshore_hub.store.dialect import upsert
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import account_days, accounts, sites
from farshore_hub.watch.desk import Desk
from farshore_hub.watch.outbox import Outbox
from farshore_hub.watch.promises import Promises
from tests.contracts.hub_world import HubWorld

HOUR_US = 3_600_000_000
PROMISE = Expectation("*", "boiler", Rate(1, 10), ALWAYS)
OBJECTIVE = Objective("all", "*", "*", 0.9, 7200, 86_400)


class Fleet:
    """Sites whose hours the test writes down as the ledger does."""

    def __init__(self, hub: HubWorld, objective: Objective | None = OBJECTIVE) -> None:
        self.hub = hub
        # In the middle of an hour.
        hub.clock.at_us += -hub.clock.at_us % HOUR_US + HOUR_US // 2
        self.days: dict[tuple[int, int], Day] = {}
        self.start = hub.clock.at_us // HOUR_US
        self.promises = Promises(hub.engine, [PROMISE], [objective] if objective else [], 900)

    @property
    def hour(self) -> int:
        return self.hub.clock.at_us // HOUR_US

    async def join(self, name: str, *streams: str) -> None:
        site = self.hub.add_site(name)
        for stream in streams:
            await self.hub.deliver(site.parcel(site.batch(1, 5, stream=stream), site.batch(1, 1, stream="x")), name)
        with writing(self.hub.engine) as connection:
            joined = {"enrolled_us": (self.start - 50) * HOUR_US}
            connection.execute(update(sites).where(sites.c.name == name).values(**joined))
            connection.execute(update(accounts).values(told_count=accounts.c.head))

    def pass_hours(self, hours: float, *speaking: str) -> None:
        self.hub.clock.at_us += int(hours * HOUR_US)
        with writing(self.hub.engine) as connection:
            spoken = update(sites).where(sites.c.name.in_(speaking))
            connection.execute(spoken.values(last_seen_us=self.hub.clock.at_us))

    def tell(self, site: str, hour: int, produced: int, stored: int, stream: str = "boiler") -> None:
        joined = select(accounts.c.id).join(sites, sites.c.id == accounts.c.site_id)
        day, at = divmod(hour, 24)
        with writing(self.hub.engine) as connection:
            account = connection.execute(joined.where(sites.c.name == site, accounts.c.stream == stream)).scalar_one()
            counts = self.days.setdefault((account, day), Day())
            counts.produced[at], counts.stored[at] = produced, stored
            row = {"account_id": account, "day": day, "counts": counts.pack()}
            upsert(connection, account_days, [row], ["counts"])

    def look(self) -> dict[Subject, Observation]:
        return self.promises.look(self.hub.clock.at_us)

    def burned(self) -> tuple[int, int, int, int]:
        [standing] = self.promises.standings()
        return standing.budget.due, standing.budget.late, standing.budget.excused, standing.open_hours


def silent(site: str) -> Subject:
    return Subject(Kind.STREAM_SILENT, site, "boiler")


async def test_a_stream_that_falls_silent_before_the_agent_shows(hub: HubWorld) -> None:
    fleet = Fleet(hub, None)
    await fleet.join("ship-1", "boiler")
    fleet.tell("ship-1", fleet.hour, 100, 100)
    fleet.pass_hours(0.25, "ship-1")
    assert fleet.look() == {}
    fleet.pass_hours(0.75, "ship-1")
    assert "nothing since" in fleet.look()[silent("ship-1")].detail
    fleet.tell("ship-1", fleet.hour, 1, 1)
    fleet.pass_hours(0.1, "ship-1")
    assert fleet.look() == {}


async def test_of_a_site_that_is_silent_itself_nobody_can_say_it(hub: HubWorld) -> None:
    fleet = Fleet(hub, None)
    await fleet.join("ship-1", "boiler")
    fleet.pass_hours(3)
    assert math.isnan(fleet.look()[silent("ship-1")].value)


async def test_a_stream_that_was_never_heard_of_is_silent_if_it_was_promised_by_name(hub: HubWorld) -> None:
    fleet = Fleet(hub, None)
    await fleet.join("ship-1")
    fleet.pass_hours(1, "ship-1")
    assert set(fleet.look()) == {silent("ship-1")}


async def test_a_site_s_lines_say_what_never_reached_the_agent(hub: HubWorld) -> None:
    fleet = Fleet(hub, None)
    await fleet.join("ship-1", "boiler")
    hour = fleet.hour
    fleet.tell("ship-1", hour, 300, 200)
    fleet.pass_hours(2, "ship-1")
    lines = fleet.promises.hours("ship-1", range(hour, fleet.hour + 1))
    told = [(line.hour - hour, line.expected, line.produced, round(line.missing), known) for line, known in lines]
    assert told == [(0, 360, 300, 60, True), (1, 360, 0, 360, True), (2, 360, 0, 360, False)]
    assert fleet.promises.hours("nobody", range(5)) == []


async def test_what_is_stored_when_its_time_is_over_counts_and_nothing_later(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    await fleet.join("ship-1", "boiler")
    hour = fleet.hour
    fleet.look()
    fleet.tell("ship-1", hour, 100, 80)
    fleet.pass_hours(2, "ship-1")
    fleet.look()
    before = fleet.burned()
    fleet.pass_hours(1, "ship-1")
    found = fleet.look()
    assert before[:2] == (0, 0)
    assert fleet.burned() == (100, 20, 0, 0)
    risk = found[Subject(Kind.OBJECTIVE, facet="all fast")]
    assert risk.value > 0
    assert "ship-1" in risk.detail
    fleet.tell("ship-1", hour, 100, 100)
    fleet.pass_hours(1, "ship-1")
    fleet.look()
    assert fleet.burned() == (100, 20, 0, 0)


async def test_what_a_silent_site_had_is_judged_once_it_speaks(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    await fleet.join("ship-1", "boiler")
    hour = fleet.hour
    fleet.look()
    fleet.tell("ship-1", hour, 10, 10)
    fleet.pass_hours(3)
    fleet.look()
    due, late, _, open_hours = fleet.burned()
    assert (due, late) == (0, 0)
    assert open_hours >= 1
    # It comes back, says what it had, and delivers it: too late.
    fleet.tell("ship-1", hour, 100, 100)
    fleet.pass_hours(0.1, "ship-1")
    fleet.look()
    due, late, _, open_hours = fleet.burned()
    assert (due, late, open_hours) == (100, 90, 0)


async def test_hours_of_maintenance_burn_nothing(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    await fleet.join("ship-1", "boiler")
    hour = fleet.hour
    fleet.look()
    Desk(hub.engine, hub.clock, Outbox("hub", [], hub.random.token, "")).maintain(
        "ship-1", hour * HOUR_US, (hour + 1) * HOUR_US, "", "me"
    )
    fleet.tell("ship-1", hour, 100, 0)
    fleet.pass_hours(3, "ship-1")
    fleet.look()
    assert fleet.burned() == (0, 0, 100, 0)


async def test_by_what_is_expected_a_dead_source_burns_and_a_weak_one_is_known(hub: HubWorld) -> None:
    fleet = Fleet(hub, Objective("by-promise", "*", "boiler", 0.9, 3600, 10 * 3600, Basis.EXPECTED))
    await fleet.join("ship-1", "boiler")
    fleet.look()
    for _ in range(30):
        fleet.tell("ship-1", fleet.hour, 180, 180)
        fleet.pass_hours(1, "ship-1")
        fleet.look()
    [standing] = fleet.promises.standings()
    # Half of what is promised, always: that is the source's own, and the first hours have aged out.
    assert standing.budget.late == 0
    fleet.pass_hours(2, "ship-1")
    fleet.look()
    [standing] = fleet.promises.standings()
    assert 170 <= standing.budget.late <= 190


async def test_after_a_pause_of_the_hub_every_hour_is_judged(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    await fleet.join("ship-1", "boiler")
    fleet.look()
    for ago in range(20):
        fleet.tell("ship-1", fleet.hour + ago, 100, 90)
    fleet.pass_hours(20 + 2.5, "ship-1")
    fleet.look()
    assert fleet.burned() == (20 * 100, 20 * 10, 0, 0)


async def test_what_a_site_makes_up_does_not_stop_the_watch(hub: HubWorld) -> None:
    fleet = Fleet(hub)
    for name in ("liar-1", "liar-2", "ship-1"):
        await fleet.join(name, "boiler")
    fleet.look()
    for name in ("liar-1", "liar-2"):
        fleet.tell(name, fleet.hour, 2**62, 2**61)
    fleet.pass_hours(3, "liar-1", "ship-1")
    assert fleet.look()
    fleet.pass_hours(1, "liar-1", "liar-2", "ship-1")
    assert fleet.look()
    assert fleet.burned()[0] == 2**62
