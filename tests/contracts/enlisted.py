"""A site that takes orders at a hub that was really initialised; what it does is up to the test."""

from __future__ import annotations

from sqlalchemy import insert

from farshore_hub.opening import OpenedHub
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.store.engine import writing
from farshore_hub.store.schema import sites
from farshore_protocol.orders import CommandReport, Order, SettingsReport
from tests.contracts.hub_world import FakeSite
from tests.contracts.steered import SteeredSite


class Enlisted(SteeredSite):
    """An active site that has introduced itself."""

    def __init__(self, hub: OpenedHub, name: str) -> None:
        super().__init__(FakeSite(name, hub.keys), hub.keys)
        self.stands: SettingsReport | None = None
        key = self.site.signer.public_key().public_bytes_raw()
        with writing(hub.engine) as connection:
            connection.execute(insert(sites).values(name=name, state="active", signing_key=key, created_us=0))
        self.desk = OrderDesk(hub.engine, hub.keys, hub.fleet.clock)
        self.desk.take_report(self.report(), name)

    def orders(self) -> list[Order]:
        """What it is to do."""
        return [self.opened(raw) for raw in self.desk.pending(self.site.name)]

    def keep(self, order: Order) -> None:
        """Keep these settings, and say so."""
        self.stands = self.kept(order)
        self.desk.take_report(self.report(settings=self.stands), self.site.name)

    def answer(self, order: Order, text: str, data: bytes = b"") -> None:
        """Do a command, and say so."""
        answer = CommandReport(order.number, done=True, text=text, data=data)
        self.desk.take_report(self.report(settings=self.stands, command=answer), self.site.name)
