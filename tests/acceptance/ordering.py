"""Orders made at a hub, as another process of it makes them, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.making import Maker
from farshore_hub.store import site_reports
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import find_site
from farshore_hub.store.orders import open_orders
from tests.acceptance.hub import Hub, free_port
from tests.acceptance.site import Site, Way

_US_PER_S = 1_000_000
SELDOM = Way(
    forward='heartbeat = "1 h"\ntimeout = "5 s"\nbackoff_min = "50 ms"\nbackoff_max = "500 ms"\n',
)
"""A site that delivers what it has and else says nothing: orders come to it over MQTT, or not for an hour."""


@dataclass(frozen=True)
class Ordering:
    """Gives orders at a hub. They are commands that no agent knows: it takes, answers and does nothing."""

    opened: OpenedHub

    @classmethod
    @contextmanager
    def at(cls, hub: Hub) -> Iterator[Ordering]:
        """While the hub runs, dies and comes back."""
        with open_hub(hub.data) as opened:
            yield cls(opened)

    def command(self, site: Site) -> bytes:
        """One more command to a site; its bytes."""
        with writing(self.opened.engine) as connection:
            found = find_site(connection, site.name)
            assert found is not None
            now_us = time.time_ns() // 1000
            maker = Maker(self.opened.keys, now_us, "a test")
            maker.command(connection, found.id, "juggle", {}, now_us + 600 * _US_PER_S)
            assert maker.commands(connection, [found.id]) == 1, "the site is not introduced, or another is under way"
            [raw] = open_orders(connection, {found.id}, now_us)[found.id]
            return raw

    def is_answered(self, site: Site) -> bool:
        """Whether the site has reported on all that it was sent."""
        hub = self.opened
        return not OrderDesk(hub.engine, hub.keys, hub.fleet.clock).pending(site.name)

    def is_introduced(self, site: Site) -> bool:
        with reading(self.opened.engine) as connection:
            found = find_site(connection, site.name)
            reports = site_reports.find(connection, [found.id] if found else [])
            return any(each.is_introduced for each in reports.values())


def with_broker(hub: Hub, table: str = "") -> int:
    """Have a hub that does not run start its own broker, whose port it returns; or use the one that `table` says."""
    port, path = free_port(), hub.data / "hub.toml"
    before, _, _ = path.read_text().partition("\n[broker]\n")
    path.write_text(before + "\n[broker]\n" + (table or f'embedded = true\nlisten = "127.0.0.1:{port}"\n'))
    return port
