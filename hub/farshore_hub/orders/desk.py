"""Where orders are handed out and reports come in, whatever road they take. Blocking; for brokers and links.

What is handed out here is durable already. The database is the truth between several processes of one hub: whoever
publishes asks `unpublished` every so often and says `published` when the broker has taken it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import HubError, SiteRevoked, Unauthenticated
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.receive.site_reports import checked_report
from farshore_hub.store import inbox, orders, site_reports
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import Site, SiteState, find_site, find_sites
from farshore_hub.store.orders import Outgoing
from farshore_protocol.errors import ProtocolError
from farshore_protocol.orders import Report
from farshore_protocol.ports import Clock

MAX_AT_ONCE: Final = 256
"""Orders of one look, and reports of one transaction."""


@dataclass(frozen=True, slots=True)
class OrderDesk:
    """Orders out, reports in."""

    engine: Engine
    keys: ReceivingKeys
    clock: Clock

    def pending(self, site: str) -> list[bytes]:
        """What a site has not reported on, settings first; what has expired is not among it."""
        with reading(self.engine) as connection:
            found = find_site(connection, site)
            if found is None or found.state is not SiteState.ACTIVE:
                return []
            return orders.open_orders(connection, {found.id}, self.clock.now_us()).get(found.id, [])

    def unpublished(self, limit: int = MAX_AT_ONCE) -> list[Outgoing]:
        """What was made durable and no broker has taken, the oldest first; from any process of this hub."""
        with reading(self.engine) as connection:
            return orders.unpublished(connection, limit)

    def published(self, ids: Collection[int]) -> None:
        """Note that the broker has taken these orders."""
        with writing(self.engine) as connection:
            orders.mark_published(connection, ids, self.clock.now_us())

    def publish_again(self, sites: Collection[str] | None = None) -> None:
        """Have what is open published once more, of these sites or of all: the broker may not have delivered it."""
        with writing(self.engine) as connection:
            known = None if sites is None else {each.id for each in find_sites(connection, sites).values()}
            orders.publish_again(connection, known)

    def take_report(self, raw: bytes, site: str) -> int:
        """Take a report that came by itself from `site`, and return what the hub has heard of it: see `Answer.heard`.

        Raises:
            SiteRevoked, Unauthenticated: there is no such active site.
            ProtocolError: it is not that site's report.
        """
        [taken] = self.take_reports([(raw, site)])
        if isinstance(taken, Exception):
            raise taken
        return taken

    def take_reports(self, brought: Sequence[tuple[bytes, str]]) -> list[int | HubError | ProtocolError]:
        """The same for many at once, in one transaction: for each what is heard, or why it is not taken."""
        with reading(self.engine) as connection:
            sites = find_sites(connection, {site for _, site in brought})
        checked = [self._checked(raw, sites.get(site), site) for raw, site in brought]
        good = [each for each in checked if isinstance(each, tuple)]
        with writing(self.engine) as connection:
            active = inbox.active_sites(connection, [site_id for site_id, _ in good])
            taken = [each for each in good if each[0] in active]
            heard = site_reports.take(connection, taken, self.clock.now_us())
        return [
            heard.get(each[0], SiteRevoked("the site was revoked meanwhile")) if isinstance(each, tuple) else each
            for each in checked
        ]

    def _checked(self, raw: bytes, site: Site | None, name: str) -> tuple[int, Report] | HubError | ProtocolError:
        if site is None or site.signing_key is None:
            return Unauthenticated(f"no site {name[:64]!r} has joined this hub")
        if site.state is not SiteState.ACTIVE:
            return SiteRevoked(f"site {name} is {site.state.value}", remedy="ask the hub's operator")
        try:
            return site.id, checked_report(raw, name, site.signing_key, self.keys)
        except ProtocolError as error:
            return error
