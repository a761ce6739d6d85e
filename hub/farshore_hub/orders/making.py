"""Makes orders: numbers, signs and seals them, and writes them down in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import orders, site_reports
from farshore_hub.store.inbox import lock_sites
from farshore_hub.store.orders import OrderKind, OrderRow
from farshore_hub.store.site_reports import ReportRow
from farshore_hub.store.told import Told, tell
from farshore_protocol.enrolment import HubKey
from farshore_protocol.orders import Command, Desired, Order, next_number, pack_order

MAX_NAME_CHARS: Final = 63
"""Of whoever says something."""


@dataclass(frozen=True, slots=True)
class NewSettings:
    """Settings for one site that has introduced itself.

    Attributes:
        site_id, site: whose.
        settings: TOML, secrets and all; it stands nowhere but in the sealed order.
        document: the digest of what it says.
        probe_s: how long the site watches itself under them.
    """

    site_id: int
    site: str
    settings: str
    document: bytes
    revision: int
    probe_s: int
    rollout_id: int | None = None


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes orders, and when."""

    keys: ReceivingKeys
    now_us: int
    by: str

    def settings(self, connection: Connection, new: Sequence[NewSettings]) -> int:
        """Open settings for sites; those that are not introduced (any more) are left out. How many were made."""
        lock_sites(connection, [each.site_id for each in new])
        reports = site_reports.find(connection, [each.site_id for each in new])
        given = orders.highest_numbers(connection, reports, OrderKind.SETTINGS)
        rows = []
        for each in new:
            report = reports.get(each.site_id)
            if report is None or report.sealing_key is None:
                continue
            number = self._number(given, each.site_id, report.latest)
            desired = Desired(each.settings, each.revision, each.probe_s)
            order = Order(self.keys.hub, each.site, number, self.now_us, None, desired=desired)
            raw = self._packed(order, report.sealing_key)
            rows.append(self._settings_row(each, number, raw, report.sealing_key.id))
        orders.add_settings(connection, rows, self.now_us)
        if rows:
            tell(connection, Told.ORDERS)
        return len(rows)

    def command(
        self, connection: Connection, site_id: int, name: str, arguments: Mapping[str, str], expires_us: int
    ) -> int:
        """Put a command behind those that a site has, and return its id. `commands` makes it its turn."""
        return orders.add_command(
            connection,
            {
                "site_id": site_id,
                "made_us": self.now_us,
                "made_by": self.by[:MAX_NAME_CHARS],
                "expires_us": expires_us,
                "command": name,
                "arguments": json.dumps(dict(arguments), sort_keys=True),
            },
        )

    def commands(self, connection: Connection, site_ids: Collection[int] | None = None) -> int:
        """Make it the next command's turn at each of these sites (None: at all) that has none under way."""
        waiting = orders.next_commands(connection, site_ids)
        if not waiting:
            return 0
        lock_sites(connection, [each.site_id for each in waiting])
        waiting = orders.next_commands(connection, {each.site_id for each in waiting})
        reports = site_reports.find(connection, [each.site_id for each in waiting])
        given = orders.highest_numbers(connection, reports, OrderKind.COMMAND)
        opened = [each for each in waiting if self._open(connection, each, reports.get(each.site_id), given)]
        orders.refresh(connection, [each.site_id for each in opened])
        if opened:
            tell(connection, Told.ORDERS)
        return len(opened)

    def _open(self, connection: Connection, row: OrderRow, report: ReportRow | None, given: Mapping[int, int]) -> bool:
        if report is None or report.sealing_key is None:
            return False
        number = self._number(given, row.site_id, report.command)
        command = Command(row.command or "", json.loads(row.arguments or "{}"))
        order = Order(self.keys.hub, row.site, number, self.now_us, row.expires_us, command=command)
        raw = self._packed(order, report.sealing_key)
        orders.open_command(connection, row.id, number, raw, report.sealing_key.id)
        return True

    def _number(self, given: Mapping[int, int], site_id: int, told: int | None) -> int:
        return next_number(self.now_us, highest=max(given.get(site_id, 0), told or 0))

    def _packed(self, order: Order, key: HubKey) -> bytes:
        return pack_order(order, self.keys.signer, key, self.keys.chain)

    def _settings_row(self, new: NewSettings, number: int, raw: bytes, sealed_to: bytes) -> dict[str, object]:
        return {
            "site_id": new.site_id,
            "number": number,
            "made_us": self.now_us,
            "made_by": self.by[:MAX_NAME_CHARS],
            "raw": raw,
            "sealed_to": sealed_to,
            "revision": new.revision,
            "rollout_id": new.rollout_id,
            "document": new.document,
        }
