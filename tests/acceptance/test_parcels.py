"""Parcels that arrive twice, late, in any order and overlapping, by file and by link: each record is stored once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.client import Client
from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.acceptance.records import canonical
from tests.acceptance.settled import assert_settled, drain


def test_parcel_files_in_any_order_twice_and_beside_the_link_store_each_record_once(
    hub: Hub, sites: MakeSite, proxied: Callable[[Hub], Proxy], folder: Path, chance: random.Random
) -> None:
    link = proxied(hub)
    site = sites(hub, port=link.port)
    site.must_post(50)
    drain(hub, site)
    link.cut()
    parcels: list[Path] = []
    for number in range(4):
        site.must_post(100)
        site.log_lines(100)
        until("the agent has the lines", lambda n=number: site.status()["buffer"]["pending"] >= 200 * (n + 1))  # type: ignore[misc]
        parcels += site.export(folder / f"{number}.parcel")
    order = parcels * 2
    chance.shuffle(order)
    hub.take(*order[:4])
    link.restore()
    site.must_post(100)
    hub.take(*order[4:])
    site.must_post(100)
    assert_settled(hub, site)
    hub.take(*order)
    assert_settled(hub, site)


def test_batches_that_overlap_store_each_record_once(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub, started=False)
    client = Client(site.state, hub.port)
    records = site.supply.readings(30)
    batches = [client.batch("readings", first + 1, records[first:last]) for first, last in ((0, 10), (5, 20), (20, 30))]
    everything = client.batch("readings", 1, records)
    for batch in (*batches, batches[1], everything, batches[0]):
        client.send(client.parcel("readings", 30, batch))
    assert hub.stored(site.name, "readings") == Counter(map(canonical, records))
    line = hub.completeness(site.name)["readings"]
    assert (line["produced"], line["stored"], line["gap"]) == (30, 30, 0)


def test_other_records_under_the_same_sequences_are_kept_aside(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub, started=False)
    client = Client(site.state, hub.port)
    first, second = site.supply.readings(10), site.supply.readings(10)
    client.send(client.parcel("readings", 10, client.batch("readings", 1, first)))
    answer = client.send(client.parcel("readings", 10, client.batch("readings", 1, second)))
    assert len(answer.forked) == 1
    assert hub.stored(site.name, "readings") == Counter(map(canonical, first))


def test_a_site_cannot_deliver_in_another_one_s_name(hub: Hub, sites: MakeSite) -> None:
    one, other = sites(hub, started=False), sites(hub, started=False)
    mine, its = Client(one.state, hub.port), Client(other.state, hub.port)
    status, body = mine.post(its.parcel("readings", 5, its.batch("readings", 1, other.supply.readings(5))))
    assert status == 403, body
    assert not hub.completeness(one.name)
    assert not hub.completeness(other.name)
