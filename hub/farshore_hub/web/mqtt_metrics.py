"""Figures of the way over MQTT, since the start of this process; nothing is read for them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from farshore_hub.broker.rights import Tally
from farshore_hub.broker.road import MqttRoad


class Pushing(Collector):
    """Whether the broker is reached, who is connected, what was published, taken, refused."""

    def __init__(self, mqtt: MqttRoad) -> None:
        self._mqtt = mqtt

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        push, tally = self._mqtt.push, self._mqtt.push.tally
        yield GaugeMetricFamily("farshore_hub_mqtt_up", "Whether orders go over MQTT.", float(not self._mqtt.fault()))
        yield GaugeMetricFamily("farshore_hub_mqtt_sites", "Connected sites, by the broker.", len(push.present))
        yield CounterMetricFamily("farshore_hub_mqtt_published", "Orders that the broker took.", tally.published)
        yield CounterMetricFamily("farshore_hub_mqtt_reports", "Reports that were taken.", tally.taken)
        yield CounterMetricFamily(
            "farshore_hub_mqtt_dropped", "Reports that found no room; the site's parcels bring them.", tally.dropped
        )
        refused = CounterMetricFamily("farshore_hub_mqtt_refused", "Reports not taken, by reason.", labels=["reason"])
        for reason, count in tally.refused.items():
            refused.add_metric([reason], count)
        yield refused
        if self._mqtt.embedded:
            yield from _door(self._mqtt.embedded.tally)


def _door(tally: Tally) -> Iterable[Metric]:
    yield CounterMetricFamily("farshore_hub_broker_let_in", "Connections that were let in.", tally.let_in)
    yield CounterMetricFamily("farshore_hub_broker_cut_off", "Connections that were cut off.", tally.cut_off)
    turned = CounterMetricFamily(
        "farshore_hub_broker_turned_away", "Connections that were not let in, by reason.", labels=["reason"]
    )
    for reason, count in tally.turned_away.items():
        turned.add_metric([reason], count)
    yield turned
