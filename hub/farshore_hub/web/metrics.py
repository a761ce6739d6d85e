"""The hub's figures for Prometheus: what was received since the start, and how the sites stand now.

Labels are bounded: reasons and fates are the program's own, and of the sites those with most at the edge are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from farshore_hub.audit import progress
from farshore_hub.broker.road import MqttRoad
from farshore_hub.lake.reader import lake_lag
from farshore_hub.receive.receiver import Tally
from farshore_hub.reports import Reporter
from farshore_hub.store import damages
from farshore_hub.store.engine import reading
from farshore_hub.store.metrics import receipted_by_reason
from farshore_hub.views import StreamView
from farshore_hub.watch.watcher import Watcher
from farshore_hub.web.alert_metrics import Alerting
from farshore_hub.web.mqtt_metrics import Pushing

MAX_SITES: Final = 1000
_COMMIT_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_US_PER_S: Final = 1_000_000


class HubMetrics:
    """Makes the text of `/metrics`; blocking."""

    def __init__(self, tally: Tally, reporter: Reporter, watcher: Watcher, mqtt: MqttRoad | None = None) -> None:
        self._tally = tally
        self._registry = CollectorRegistry()
        self._commits = Histogram(
            "farshore_hub_commit_seconds",
            "Duration of a commit, which one or many parcels share.",
            buckets=_COMMIT_BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_Received(tally))
        self._registry.register(_Standing(reporter))
        self._registry.register(Alerting(reporter.fleet.engine, watcher))
        if mqtt:
            self._registry.register(Pushing(mqtt))

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        while self._tally.commit_s:
            self._commits.observe(self._tally.commit_s.popleft())
        return generate_latest(self._registry)


class _Received(Collector):
    """What was received since the start of this process."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        tally = self._tally
        yield CounterMetricFamily("farshore_hub_parcels", "Parcels that were answered.", tally.parcels)
        yield CounterMetricFamily("farshore_hub_records_stored", "Records that were stored.", tally.records)
        yield CounterMetricFamily("farshore_hub_busy", "Parcels that were asked to come later.", tally.busy)
        yield CounterMetricFamily(
            "farshore_hub_over_quota", "Parcels whose batches were not taken for their site's quota.", tally.over_quota
        )
        fates = CounterMetricFamily("farshore_hub_batches", "Batches by what became of them.", labels=["fate"])
        for fate, count in tally.fates.items():
            fates.add_metric([fate.value], count)
        yield fates
        refusals = CounterMetricFamily("farshore_hub_refusals", "Batches that were not taken.", labels=["reason"])
        for reason, count in tally.refusals.items():
            refusals.add_metric([reason], count)
        yield refusals


class _Standing(Collector):
    """How the sites and the lake stand now, by the database."""

    def __init__(self, reporter: Reporter) -> None:
        self._engine = reporter.fleet.engine
        self._clock = reporter.fleet.clock
        self._reporter = reporter

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        now_us = self._clock.now_us()
        yield from self._receipts()
        yield from self._audit(now_us)
        yield from self._lake(now_us)
        report = self._reporter.completeness()
        yield from _sites(report.streams, now_us)
        yield GaugeMetricFamily(
            "farshore_hub_sites_over_quota", "Sites of which no batches are taken.", len(report.over_quota)
        )

    def _receipts(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "farshore_hub_receipted_records", "Records that were given up at the edge.", labels=["reason"]
        )
        with reading(self._engine) as connection:
            for reason, count in receipted_by_reason(connection).items():
                family.add_metric([reason], count)
        yield family

    def _audit(self, now_us: int) -> Iterator[Metric]:
        with reading(self._engine) as connection:
            state, ended = progress.load(connection), damages.tally(connection)
        present, last = state.present, state.last
        age_s = _age_s(last.ended_us if last else None, now_us)
        found = sum(last.report.found.values()) if last else 0
        read_bytes = present.read_bytes if present else 0
        yield GaugeMetricFamily("farshore_hub_audit_running", "Whether an audit is under way.", float(bool(present)))
        yield GaugeMetricFamily("farshore_hub_audit_read_bytes", "What the present audit has read.", read_bytes)
        yield GaugeMetricFamily("farshore_hub_audit_age_seconds", "Since the last audit ended.", age_s)
        yield GaugeMetricFamily("farshore_hub_audit_differences", "What the last audit found.", found)
        what = "Records that were found damaged, by what became of them."
        records = GaugeMetricFamily("farshore_hub_damaged_records", what, labels=["outcome"])
        for each in ended:
            records.add_metric([each.outcome], each.records)
        yield records

    def _lake(self, now_us: int) -> Iterator[Metric]:
        lag = lake_lag(self._engine)
        age_s = _age_s(lag.oldest_us, now_us)
        yield GaugeMetricFamily(
            "farshore_hub_lake_waiting_records", "Records that are not in the lake yet.", lag.records
        )
        yield GaugeMetricFamily("farshore_hub_lake_lag_seconds", "Since the oldest of them was stored.", age_s)
        yield GaugeMetricFamily(
            "farshore_hub_lake_unreadable_batches", "Stored batches that could not be decoded.", lag.quarantined
        )


def _sites(streams: list[StreamView], now_us: int) -> Iterator[Metric]:
    by_site: dict[str, list[StreamView]] = {}
    for stream in streams:
        by_site.setdefault(stream.site, []).append(stream)
    most_first = sorted(by_site, key=lambda site: (-sum(each.pending + each.gap for each in by_site[site]), site))
    families = {name: GaugeMetricFamily(name, what, labels=["site"]) for name, what in _SITE_FIGURES.items()}
    for site in most_first[:MAX_SITES]:
        for name, value in _figures(by_site[site], now_us).items():
            families[name].add_metric([site], value)
    yield from families.values()
    yield GaugeMetricFamily("farshore_hub_sites", "Sites that have delivered or stated anything.", len(by_site))


_SITE_FIGURES: Final = {
    "farshore_hub_site_stored_records": "Records that are stored.",
    "farshore_hub_site_pending_records": "Records that are still at the edge, by the site's last statement.",
    "farshore_hub_site_gap_records": "Records that are nowhere. Anything but 0 wants a person.",
    "farshore_hub_site_watermark_lag_seconds": "Age of the oldest record that is still at the edge.",
    "farshore_hub_site_silent_seconds": "Since the site was last heard.",
}


def _figures(streams: list[StreamView], now_us: int) -> dict[str, float]:
    oldest = min((each.oldest_pending_us for each in streams if each.oldest_pending_us is not None), default=None)
    heard = max((each.heard_us for each in streams if each.heard_us is not None), default=None)
    values = (
        sum(each.stored for each in streams),
        sum(each.pending for each in streams),
        sum(each.gap for each in streams),
        _age_s(oldest, now_us),
        _age_s(heard, now_us),
    )
    return dict(zip(_SITE_FIGURES, values, strict=True))


def _age_s(then_us: int | None, now_us: int) -> float:
    return 0.0 if then_us is None else max(0.0, (now_us - then_us) / _US_PER_S)
