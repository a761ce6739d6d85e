"""The hub's operator, who wants settings and commands of the sites, and links that hand an order over once more.

Has dice of its own, so that a seed's other troubles are what they would be without orders.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from farshore_hub.opening import OpenedHub
from farshore_hub.orders.commands import CommandDesk
from farshore_hub.orders.making import Maker, NewSettings
from farshore_hub.store import fleet, orders
from farshore_hub.store.engine import writing

if TYPE_CHECKING:
    from tests.simulation.site import SimSite
    from tests.simulation.world import World

LABEL: Final = "order"
"""The site's label that says which of the operator's settings are in force."""

_BY: Final = "operator"
_LIFE_S: Final = 4 * 3600
_FINE: Final = '[seal]\nlinger = "{linger} s"\n[site_labels]\n{label} = "{site} {number}"\n'
_BAD: Final = ('state_dir = "/elsewhere"\n', '[seal]\nlinger = "soon"\n', "[seal\n")
"""Settings that no site accepts: not the hub's to change, not valid, not TOML."""


class Operator:
    """Gives as many orders as the plan says, and replays as many.

    Attributes:
        left: how many are still to be given.
    """

    def __init__(self, world: World) -> None:
        self.left = world.plan.orders
        self._world = world
        self._rng = random.Random(f"orders {world.seed}")
        self._given = 0
        self._came: dict[str, list[bytes]] = defaultdict(list)

    def begin(self) -> None:
        """Give orders from now on, one after the other."""
        if self.left:
            self._world.later(self._rng.expovariate(1 / self._world.plan.gap_s), self._next)

    def _next(self) -> None:
        if not self.left:
            return
        self.left -= 1
        site = self._rng.choice(sorted({each.site for each in self._world.sites.values()}))
        (self._desire if self._rng.random() < 0.6 else self._command)(site)
        self._world.later(self._rng.expovariate(1 / self._world.plan.gap_s), self._replay)
        self.begin()

    def _desire(self, site: str) -> None:
        self._given += 1
        text = _FINE.format(linger=self._rng.randint(0, 30), label=LABEL, site=site, number=self._given)
        if self._rng.random() < 0.2:
            text = self._rng.choice(_BAD)
        probe_s, number = self._rng.choice([0, 30, 300]), self._given
        self._world.say(f"the operator wants settings {number} of {site}")

        def give(hub: OpenedHub) -> None:
            with writing(hub.engine) as connection:
                found = fleet.find_site(connection, site)
                assert found is not None
                new = NewSettings(found.id, site, text, b"", number, probe_s)
                made = Maker(hub.keys, hub.fleet.clock.now_us(), _BY).settings(connection, [new])
            self._world.count("settings ordered", made)

        self._world.hub.govern(give)

    def _command(self, site: str) -> None:
        first = self._rng.randint(1, 40)
        span = {"stream": "meter", "first": str(first), "last": str(first + self._rng.randint(0, 40))}
        name, arguments = self._rng.choice([("flush", {}), ("resend", span), ("rotate-keys", {})])
        self._world.say(f"the operator commands {site}: {name}")

        def give(hub: OpenedHub) -> None:
            CommandDesk(hub.engine, hub.keys, hub.fleet.clock).order([site], name, arguments, _LIFE_S, _BY)
            self._world.count("command ordered")

        self._world.hub.govern(give)

    # ------------------------------------------------------------- the links

    def came(self, site: SimSite, raw: bytes) -> None:
        """An order has come to a machine; whoever carried it has a copy."""
        if raw not in self._came[site.site]:
            self._came[site.site].append(raw)

    def _replay(self) -> None:
        """A broker, or whoever has its place, hands over an order again: also an old one, also to the wrong site."""
        known = sorted(each for each in self._came.values() if each)
        up = [each for each in self._world.sites.values() if each.agent is not None]
        if known and up:
            machine, raw = self._rng.choice(up), self._rng.choice(self._rng.choice(known))
            self._world.count("order replayed")
            self._world.say(f"an order is handed over again to {machine.name}")
            assert machine.agent is not None
            machine.agent.orders.take(raw)


def steer(hub: OpenedHub) -> None:
    """What the hub's loop does for commands every few seconds: let go of what has expired, open what is next."""
    now_us = hub.fleet.clock.now_us()
    with writing(hub.engine) as connection:
        orders.expire(connection, now_us)
        Maker(hub.keys, now_us, _BY).commands(connection)
