"""A hostile site that is enrolled cannot fill the hub's disk: what is beyond its quota stays at the site."""

from __future__ import annotations

import hashlib

import pytest

from farshore_hub.receive import quota
from farshore_hub.receive.receiver import Receiver
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.quota import kept_at_most, kept_by_site, over
from farshore_hub.store.schema import batches
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.messages import Refused
from tests.contracts.hub_world import FakeSite, HubWorld

MAX_BYTES = 20_000


@pytest.fixture(autouse=True)
def _the_database_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when it matters: then the sites have to be measured one by one."""
    monkeypatch.setattr("farshore_hub.store.quota.kept_at_most", lambda _: 2**40)


def strict(hub: HubWorld) -> Receiver:
    hub.receiver.quota.max_bytes = MAX_BYTES
    return hub.receiver


def large(site: FakeSite, first: int) -> bytes:
    """A batch of about 3 kB."""
    return site.batch(first, 10, says=hashlib.shake_256(b"%d" % first).hexdigest(3_000)).raw


def kept(hub: HubWorld) -> int:
    with reading(hub.engine) as connection:
        return sum(kept_by_site(connection).values())


async def test_a_site_that_sends_without_end_fills_its_quota_and_no_more(hub: HubWorld) -> None:
    site, receiver, refused, first = hub.add_site("ship-1"), strict(hub), 0, 1
    for _ in range(100):
        answer = await hub.deliver(site.parcel(large(site, first), head=first + 9), "ship-1", receiver)
        if answer.refusals:
            refused += 1
            assert [each.reason for each in answer.refusals] == [Refused.OVER_LIMIT]
            assert "max_kept_bytes" in answer.refusals[0].detail
            assert answer.pause_ms >= 600_000
            assert answer.max_parcel_bytes < MAX_PARCEL_BYTES
        else:
            first += 10
    assert refused > 50
    assert 0.5 * MAX_BYTES < kept(hub) <= MAX_BYTES
    with reading(hub.engine) as connection:
        assert over(connection, kept(hub)) == ["ship-1"]
        assert over(connection, MAX_BYTES * 2) == []


async def test_forks_and_dictionaries_count_too(hub: HubWorld) -> None:
    site, receiver = hub.add_site("ship-1"), strict(hub)
    for at in range(100):
        await hub.deliver(site.parcel(large(site, 1), site.dictionary(b"%d" % at * 500), head=10), "ship-1", receiver)
    assert kept(hub) <= MAX_BYTES


async def test_the_ledger_still_hears_what_such_a_site_has_and_others_go_on(hub: HubWorld) -> None:
    site, other, receiver = hub.add_site("ship-1"), hub.add_site("ship-2"), strict(hub)
    for first in range(1, 201, 10):
        claims = [site.claim(first + 9, (1, first + 9))]
        await hub.deliver(site.parcel(large(site, first), claims=claims), "ship-1", receiver)
    produced, stored, _, pending, gap = hub.balances()["ship-1", "boiler"]
    assert (produced, pending, gap) == (200, 200 - stored, 0)
    assert 0 < stored < 200
    answer = await hub.deliver(other.parcel(large(other, 1), head=10), "ship-2", receiver)
    assert (answer.refusals, hub.stored("ship-2")) == ([], list(range(1, 11)))


async def test_what_was_given_up_makes_room_again(hub: HubWorld) -> None:
    site, receiver, first = hub.add_site("ship-1"), strict(hub), 1
    while not (await hub.deliver(site.parcel(large(site, first), head=first + 9), "ship-1", receiver)).refusals:
        first += 10
    with writing(hub.engine) as connection:
        connection.execute(batches.update().values(raw=None))
    hub.clock.at_us += int(quota.MEASURE_S * 1e6)
    answer = await hub.deliver(site.parcel(large(site, first), head=first + 9), "ship-1", receiver)
    assert (answer.refusals, answer.max_parcel_bytes, answer.pause_ms) == ([], MAX_PARCEL_BYTES, 0)


async def test_nobody_is_measured_while_the_whole_database_is_smaller(
    hub: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farshore_hub.store.quota.kept_at_most", kept_at_most)
    with reading(hub.engine) as connection:
        assert 10_000 < kept_at_most(connection) < 2**30
    monkeypatch.setattr("farshore_hub.store.quota.kept_by_site", None)
    site = hub.add_site("ship-1")
    assert not (await hub.deliver(site.parcel(large(site, 1), head=10), "ship-1")).refusals
