"""The settings of every site under one revision: rendered, and checked against what the site says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from farshore_hub.orders import secrets
from farshore_hub.orders.checking import problems_of
from farshore_hub.orders.layers import Layers, Problem
from farshore_hub.orders.making import NewSettings
from farshore_hub.orders.rendering import Attributes, Rendered, render, size_problem, toml_of
from farshore_hub.receive.keys import ReceivingKeys
from farshore_hub.store import config, labels
from farshore_hub.store.config import SecretRow
from farshore_hub.store.site_reports import ReportRow


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """What layers make of each site, by the labels and secrets of now."""

    keys: ReceivingKeys
    layers: Layers
    labels: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, SecretRow]

    @classmethod
    def of(cls, connection: Connection, keys: ReceivingKeys, layers: Layers) -> FleetSettings:
        """With what the database says now."""
        return cls(keys, layers, labels.all_labels(connection), config.secrets(connection))

    def rendered(self, site: str) -> tuple[Rendered, list[Problem]]:
        """The settings of one site as people may see them, and what cannot be put in."""
        own = self.labels.get(site, {})
        versions = {name: row.version for name, row in self.secrets.items()}
        return render(self.layers.of(site, own), Attributes(site, own, versions))

    def problems(self, rendered: Rendered, report: ReportRow) -> list[Problem]:
        """What the site would refuse.

        Raises:
            Conflict: a secret does not open.
        """
        filled = self._filled(rendered)
        too_large = size_problem(toml_of(filled))
        checked = problems_of(rendered, filled, report.settings_schema or b"", report.accepts)
        return [*checked, too_large] if too_large else checked

    def order(self, site_id: int, site: str, rendered: Rendered, revision: int, rollout_id: int) -> NewSettings:
        """The order that brings them there, secrets and all."""
        text = toml_of(self._filled(rendered))
        return NewSettings(site_id, site, text, rendered.digest, revision, rendered.probe_s, rollout_id)

    def _filled(self, rendered: Rendered) -> dict[str, object]:
        return rendered.with_secrets(secrets.opened(self.keys, self.secrets, rendered.secrets))
