"""A hub and sites that do as they are told, over the bare protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from farshore_hub.orders.commands import CommandDesk
from farshore_hub.orders.config import ConfigDesk
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.rollouts import RolloutDesk
from farshore_hub.orders.secrets import Secrets
from farshore_hub.orders.steering import Steering
from farshore_hub.orders.views import RolloutView
from farshore_hub.store import labels
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import find_site
from farshore_protocol.orders import Order, Outcome, SettingsReport
from tests.contracts.hub_world import HubWorld, inline
from tests.contracts.steered import SteeredSite


@dataclass
class Fleet:
    """A hub and its sites, which do as they are told while they are here."""

    hub: HubWorld
    sites: dict[str, SteeredSite] = field(default_factory=dict)
    last: dict[str, SettingsReport] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = (self.hub.engine, self.hub.keys, self.hub.clock)
        self.config, self.secrets, self.commands = ConfigDesk(*parts), Secrets(*parts), CommandDesk(*parts)
        self.rollouts = RolloutDesk(self.hub.engine, self.hub.clock)
        self.desk = OrderDesk(*parts)
        self.steering = self.another_steering()

    def another_steering(self) -> Steering:
        return Steering(self.hub.engine, self.hub.keys, self.hub.clock, self.hub.random, inline)

    def add(self, *names: str, **of_all: str) -> None:
        for name in names:
            self.sites[name] = SteeredSite(self.hub.add_site(name), self.hub.keys)
            self.label(name, **of_all)

    def label(self, name: str, **values: str) -> None:
        with writing(self.hub.engine) as connection:
            labels.set_labels(connection, self.id_of(name), values, [])

    def id_of(self, name: str) -> int:
        with reading(self.hub.engine) as connection:
            found = find_site(connection, name)
        assert found is not None
        return found.id

    async def come(self, *names: str) -> None:
        """These sites deliver; all of them, if none is named."""
        for name in names or self.sites:
            site = self.sites[name]
            await self.hub.deliver(site.site.parcel(report=site.report(settings=self.last.get(name))), name)

    def orders(self, name: str) -> list[Order]:
        return [self.sites[name].opened(raw) for raw in self.desk.pending(name)]

    def settings(self, name: str) -> str:
        [order] = self.orders(name)
        assert order.desired is not None
        return order.desired.settings

    def answer(self, *names: str, outcome: Outcome = Outcome.KEPT, why: str = "") -> list[str]:
        """These sites do what they are told; who was told something."""
        told = [name for name in names or self.sites if self.orders(name)]
        for name in told:
            site, [order] = self.sites[name], self.orders(name)
            self.last[name] = site.kept(order, outcome, *([why] if why else []))
            self.desk.take_report(site.report(settings=self.last[name]), name)
        return told

    def after(self, seconds: int) -> RolloutView:
        """So much later, everybody who was heard is heard again."""
        self.hub.clock.at_us += seconds * 1_000_000
        self.steering.turn()
        return self.rollouts.listed(1)[0]
