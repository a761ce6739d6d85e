"""The fleet as it is steered: what each site should have and what it says that it has; versions; who did what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from farshore_hub.errors import Unknown
from farshore_hub.orders.fleet_settings import FleetSettings
from farshore_hub.orders.layers import read_layers
from farshore_hub.orders.rendering import toml_of
from farshore_hub.orders.rollouts import rollout_view
from farshore_hub.orders.views import Agreement, DeedView, SiteConfigView, SteeredView, SteeringView
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import config, deeds, fleet, labels, orders, rollouts, site_reports
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import Site, SiteState
from farshore_hub.store.orders import Ending, OrderRow, OrderState
from farshore_hub.store.site_reports import ReportRow

_ENDINGS = {
    Ending.REFUSED.value: Agreement.REFUSED,
    Ending.ROLLED_BACK.value: Agreement.ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class SteeredFleet:
    """Looks at the fleet as it is steered."""

    engine: Engine
    keys: ReceivingKeys

    def report(self) -> SteeringView:
        """Every site that is not revoked, by name."""
        with reading(self.engine) as connection:
            sites = _sites(connection)
            live, newest = rollouts.live(connection), config.revisions(connection, 1)
            rollout = rollout_view(live, rollouts.members(connection, live.id)) if live else None
        return SteeringView(
            revision=newest[0].id if newest else 0,
            rollout=rollout,
            versions=dict(Counter(each.agent_version or "not heard" for each in sites).most_common()),
            agreements=dict(Counter(each.agreement.value for each in sites).most_common()),
            sites=sites,
        )

    def site(self, name: str) -> SiteConfigView:
        """The settings of a site under the revision that it was ordered last; else under the newest.

        Raises:
            Unknown: there is no such site.
        """
        with reading(self.engine) as connection:
            view = next((each for each in _sites(connection) if each.site == name), None)
            if view is None:
                raise Unknown(f"there is no site {name[:80]!r}", remedy="'farshore-hub site list' shows all of them")
            newest = config.revisions(connection, 1)
            revision = view.revision or (newest[0].id if newest else 0)
            layers = read_layers(config.files_of(connection, revision) or {})
            rendered, _ = FleetSettings.of(connection, self.keys, layers).rendered(name)
        return SiteConfigView(
            site=view,
            settings=toml_of(rendered.document),
            origins={".".join(at): file for at, file in rendered.origins.items()},
            layers=[each.file for each in layers.of(name, view.labels)],
        )

    def deeds(self, limit: int = 100, subject: str | None = None) -> list[DeedView]:
        """Who did what, the newest first."""
        with reading(self.engine) as connection:
            return [DeedView.model_validate(each) for each in deeds.deeds(connection, subject, limit)]


def _sites(connection: Connection) -> list[SteeredView]:
    known, reports = labels.all_labels(connection), site_reports.all_of_them(connection)
    ordered, waiting = orders.latest_settings(connection), orders.count_commands(connection)
    return [
        _view(site, known.get(site.name, {}), reports.get(site.id), ordered.get(site.id), waiting.get(site.id, 0))
        for site in fleet.all_sites(connection)
        if site.state is not SiteState.REVOKED
    ]


def _view(
    site: Site, has: Mapping[str, str], report: ReportRow | None, order: OrderRow | None, commands: int
) -> SteeredView:
    return SteeredView(
        site=site.name,
        labels=dict(has),
        agent_version=site.agent_version,
        agreement=agreement_of(report, order),
        revision=order.revision if order else None,
        desired=order.number if order else None,
        running=report.running if report else None,
        problems=report.problems if report else [],
        accepts=report.accepts if report else [],
        reported_us=report.received_us if report else None,
        heard_us=site.last_seen_us,
        commands=commands,
    )


def agreement_of(report: ReportRow | None, order: OrderRow | None) -> Agreement:
    """How a site stands to its desired settings."""
    if report is None or not report.is_introduced:
        return Agreement.UNKNOWN
    if order is None:
        return Agreement.NONE
    if order.state == OrderState.OPEN:
        return Agreement.ORDERED
    if order.state == OrderState.PROBING:
        return Agreement.PROBING
    if order.outcome == Ending.KEPT:
        return Agreement.CURRENT if report.running == order.number else Agreement.DRIFTED
    return _ENDINGS.get(order.outcome or "", Agreement.ORDERED)
