"""The stamp of the fleet: another one whenever somebody may come in or has to go, with as many sites as there are."""

from __future__ import annotations

from sqlalchemy import insert

from farshore_hub.store import fleet
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import sites
from tests.contracts.hub_world import HubWorld

MANY = 10_000


def stamp(hub: HubWorld) -> tuple[int, ...]:
    with reading(hub.engine) as connection:
        return fleet.stamp(connection)


def test_the_stamp_of_ten_thousand_sites_changes_with_each_of_them(hub: HubWorld) -> None:
    """Their times together do not fit 63 bits: SQLite refuses such a sum, and nobody would be cut off any more."""
    now_us = hub.clock.now_us()
    rows = [{"name": f"s-{n}", "state": "active", "created_us": now_us, "enrolled_us": now_us + n} for n in range(MANY)]
    with writing(hub.engine) as connection:
        connection.execute(insert(sites), rows)
        one = fleet.find_site(connection, "s-7")
    assert one is not None
    seen = [stamp(hub)]
    with writing(hub.engine) as connection:
        fleet.revoke_site(connection, one.id, now_us)
    seen.append(stamp(hub))
    with writing(hub.engine) as connection:
        fleet.activate_site(connection, one.id, bytes(32), now_us + 1)
    seen.append(stamp(hub))
    with writing(hub.engine) as connection:
        fleet.insert_site(connection, "late", now_us)
    seen.append(stamp(hub))
    assert len(set(seen)) == len(seen)
    assert stamp(hub) == seen[-1]
