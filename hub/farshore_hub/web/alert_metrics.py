"""The figures of alerts for Prometheus: what stands, what was delivered, and whether somebody looks at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from farshore_hub.alerts.kinds import Kind
from farshore_hub.store import alerts, messages
from farshore_hub.store.engine import reading
from farshore_hub.watch.watcher import Watcher

_US_PER_S: Final = 1_000_000
_STATES: Final = {False: "raised", True: "acknowledged"}
_OUTCOMES: Final = {False: "given_up", True: "delivered"}


class Alerting(Collector):
    """How alerts stand now, by the database."""

    def __init__(self, engine: Engine, watcher: Watcher) -> None:
        self._engine = engine
        self._watcher = watcher

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The figures."""
        with reading(self._engine) as connection:
            standing = alerts.count_standing(connection)
            waiting = messages.waiting(connection)
            ended = messages.ended_counts(connection)
        family = GaugeMetricFamily("farshore_hub_alerts", "Alerts that stand.", labels=["kind", "state"])
        for kind in Kind:
            for is_taken, state in _STATES.items():
                family.add_metric([kind.value, state], standing.get((kind.value, is_taken), 0))
        yield family
        family = GaugeMetricFamily(
            "farshore_hub_alert_messages", "Messages about alerts.", labels=["channel", "outcome"]
        )
        for each in waiting:
            family.add_metric([each.channel, "waiting"], each.waiting)
        for (channel, was_delivered), count in ended.items():
            family.add_metric([channel, _OUTCOMES[was_delivered]], count)
        yield family
        yield from self._watching()

    def _watching(self) -> Iterator[Metric]:
        watcher = self._watcher
        looked_s = (watcher.looked_us or 0) / _US_PER_S
        yield GaugeMetricFamily(
            "farshore_hub_watch_looked_timestamp_seconds",
            "When this process last looked for alerts; 0 where another one of this hub does.",
            looked_s,
        )
        yield GaugeMetricFamily("farshore_hub_watch_look_seconds", "How long its last look took.", watcher.look_s)
