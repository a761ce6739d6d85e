"""A site that takes orders and reports, over the bare protocol, for tests of the hub's side."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import zstandard
from sqlalchemy import select

from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.making import Maker, NewSettings
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import find_site
from farshore_hub.store.orders import OrderKind
from farshore_hub.store.schema import orders as orders_table
from farshore_protocol import orders
from farshore_protocol.batch import DIGEST_BYTES
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.orders import CommandReport, Introduction, Order, Outcome, Report, SettingsReport
from farshore_protocol.sealing import key_id
from tests.contracts.hub_world import FakeSite, HubWorld

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "seal": {
            "type": "object",
            "properties": {"linger": {"type": "string", "pattern": "^[0-9]+ s$"}, "max_records": {"type": "integer"}},
            "additionalProperties": False,
        },
        "forward": {"type": "object", "properties": {"token": {"type": "string", "maxLength": 12}}},
        "inputs": {
            "type": "object",
            "additionalProperties": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"type": {"enum": ["http"]}, "listen": {"type": "string"}},
                        "required": ["type"],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "properties": {"type": {"enum": ["tail"]}, "path": {"type": "string"}},
                        "required": ["type", "path"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
    },
    "additionalProperties": False,
}


ACCEPTS = ("seal", "inputs", "forward")


class SteeredSite:
    """A `FakeSite` with what an agent has to know for orders."""

    def __init__(
        self, site: FakeSite, keys: ReceivingKeys, *, accepts: tuple[str, ...] = ("seal", "inputs", "forward")
    ) -> None:
        self.site = site
        self.keys = keys
        secret = hashlib.sha256(site.name.encode()).digest()
        self.sealing = orders.site_sealing_key(secret)
        self.signer = Signer(key_id(site.signer.public_key().public_bytes_raw()), site.signer)
        self.accepts = list(accepts)
        self.schema = zstandard.compress(json.dumps(SCHEMA).encode())
        self.number = 0

    def introduction(self) -> Introduction:
        return Introduction(HubKey(self.sealing.id, self.sealing.public_bytes()), self.schema, self.accepts)

    def report(
        self,
        *,
        number: int | None = None,
        introduced: bool = True,
        settings: SettingsReport | None = None,
        command: CommandReport | None = None,
        **fields: object,
    ) -> bytes:
        """A report, with the next number unless it is said."""
        self.number = number or self.number + 1
        facts: dict[str, Any] = {
            "hub": self.keys.hub,
            "site": self.site.name,
            "number": self.number,
            "at_us": 5,
            "agent_version": "1.0",
            "schema": hashlib.sha256(self.schema).digest()[:DIGEST_BYTES],
            "settings": settings,
            "command": command,
            "introduction": self.introduction() if introduced else None,
        }
        hub_key = HubKey(self.keys.sealing.id, self.keys.sealing.public_bytes())
        return orders.pack_report(Report(**facts | fields), self.signer, hub_key)

    def opened(self, raw: bytes) -> Order:
        """What an order says to this site."""
        signers = {self.keys.signer.id: self.keys.signer.key.public_key()}
        return orders.open_order(raw, hub=self.keys.hub, site=self.site.name, key=self.sealing, signers=signers)

    def kept(self, order: Order, outcome: Outcome = Outcome.KEPT, *problems: str) -> SettingsReport:
        """What it says of these settings."""
        running = order.number if outcome in (Outcome.KEPT, Outcome.PROBING) else 0
        return SettingsReport(running, order.number, outcome, list(problems))


def steered(hub: HubWorld, name: str = "ship-1") -> SteeredSite:
    return SteeredSite(hub.add_site(name), hub.keys)


def desk_of(hub: HubWorld) -> OrderDesk:
    return OrderDesk(hub.engine, hub.keys, hub.clock)


def id_of(hub: HubWorld, site: SteeredSite) -> int:
    with reading(hub.engine) as connection:
        found = find_site(connection, site.site.name)
    assert found is not None
    return found.id


def order_settings(hub: HubWorld, site: SteeredSite, settings: str = "[seal]\n", revision: int = 1) -> int:
    new = NewSettings(id_of(hub, site), site.site.name, settings, b"digest", revision, 60)
    with writing(hub.engine) as connection:
        return Maker(hub.keys, hub.clock.now_us(), "alice").settings(connection, [new])


def order_command(hub: HubWorld, site: SteeredSite, name: str, lasts_us: int = 10**9) -> int:
    maker = Maker(hub.keys, hub.clock.now_us(), "alice")
    with writing(hub.engine) as connection:
        made = maker.command(connection, id_of(hub, site), name, {"stream": "boiler"}, maker.now_us + lasts_us)
        maker.commands(connection, {id_of(hub, site)})
    return made


def ending_of(hub: HubWorld, kind: OrderKind) -> list[tuple[str, str | None]]:
    with reading(hub.engine) as connection:
        rows = connection.execute(
            select(orders_table.c.state, orders_table.c.outcome)
            .where(orders_table.c.kind == kind)
            .order_by(orders_table.c.id)
        )
        return [(state, outcome) for state, outcome in rows]


def made(hub: HubWorld, site: SteeredSite) -> bytes:
    desk_of(hub).take_report(site.report(), "ship-1")
    order_settings(hub, site)
    [raw] = desk_of(hub).pending("ship-1")
    return raw
