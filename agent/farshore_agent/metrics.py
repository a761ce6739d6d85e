"""The agent's figures as Prometheus text (exposition format 0.0.4), made from its status document."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from farshore_agent.buffer.model import Admitted, Appended, Checkpoint
from farshore_agent.collect.input import Append
from farshore_protocol.names import QUARANTINE
from farshore_protocol.ports import Clock

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PREFIX: Final = "farshore_agent_"
_US_PER_S: Final = 1_000_000

Samples = Iterable[tuple[Mapping[str, str], float]]


@dataclass(slots=True)
class Histogram:
    """Counts durations; the last bucket has no bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.total_s += seconds


class TimedAppend:
    """An `Append` that notes how long the commit took."""

    def __init__(self, append: Append, clock: Clock, commits: Histogram) -> None:
        self._append = append
        self._clock = clock
        self._commits = commits

    async def __call__(self, stream: str, admitted: Admitted, checkpoint: Checkpoint | None = None) -> Appended:
        """Append, and note the time."""
        began_s = self._clock.monotonic_s()
        appended = await self._append(stream, admitted, checkpoint)
        self._commits.add(self._clock.monotonic_s() - began_s)
        return appended


def render(status: Mapping[str, Any], commits: Histogram) -> str:
    """All figures."""
    lines: list[str] = []
    for name, kind, description, samples in (*_buffer(status), *_link(status), *_orders(status)):
        lines += [f"# HELP {_PREFIX}{name} {description}", f"# TYPE {_PREFIX}{name} {kind}"]
        lines += [_sample(name, labels, value) for labels, value in samples]
    lines += _histogram("commit_seconds", "From a door's append to its durable commit.", commits)
    return "\n".join(lines) + "\n"


def escape(value: str) -> str:
    """A label value."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _buffer(status: Mapping[str, Any]) -> Iterable[tuple[str, str, str, Samples]]:
    buffer, streams = status["buffer"], status["buffer"]["streams"]
    records = [stream for stream in streams if stream["name"] == stream["base"]]
    refused = [stream for stream in streams if stream["name"] == f"{stream['base']}.{QUARANTINE}"]
    yield (
        "appended_records_total",
        "counter",
        "Records stored since the agent's start.",
        [({"stream": each["name"]}, each["appended"]) for each in records],
    )
    yield (
        "refused_records_total",
        "counter",
        "Records that a door refused and put into quarantine since the agent's start.",
        [({"stream": each["base"]}, each["appended"]) for each in refused],
    )
    yield (
        "pending_records",
        "gauge",
        "Records that the hub does not have.",
        [({"stream": each["name"]}, each["pending"]) for each in streams],
    )
    yield (
        "oldest_pending_seconds",
        "gauge",
        "Age of the oldest record that the hub does not have, by its event time.",
        [({"stream": each["name"]}, _age_s(status, each["oldest_us"])) for each in streams],
    )
    yield (
        "held_back_batches",
        "gauge",
        "Sealed batches that the hub did not take.",
        [({"stream": each["name"]}, each["held_back"]) for each in streams],
    )
    yield (
        "waiting_batches",
        "gauge",
        "Sealed batches that the hub does not have.",
        [({"stream": each["name"]}, each["waiting_batches"]) for each in streams],
    )
    yield (
        "waiting_bytes",
        "gauge",
        "Bytes of these batches.",
        [({"stream": each["name"]}, each["waiting_bytes"]) for each in streams],
    )
    yield (
        "receipted_records",
        "gauge",
        "Records given up, by the reason in their receipts.",
        [
            ({"stream": each["name"], "reason": reason}, count)
            for each in streams
            for reason, count in each["receipted"].items()
        ],
    )
    for name, description in (
        ("used_bytes", "Bytes of the buffer that are in use."),
        ("max_bytes", "Bytes that the buffer may use."),
        ("retained_bytes", "Bytes of batches that the hub has and that are kept."),
        ("open_receipts", "Receipts that the hub does not have."),
    ):
        yield f"buffer_{name}", "gauge", description, [({}, buffer[name])]


def _link(status: Mapping[str, Any]) -> Iterable[tuple[str, str, str, Samples]]:
    link = status["link"]
    yield "enrolled", "gauge", "Whether the site has an identity.", [({}, status["identity"]["enrolled"])]
    yield "link_up", "gauge", "Whether the last exchange with the hub succeeded.", [({}, link["up"])]
    yield (
        "exchanges_total",
        "counter",
        "Exchanges with the hub, by outcome.",
        [({"outcome": outcome}, count) for outcome, count in link["exchanges"].items()],
    )
    yield (
        "refused_batches_total",
        "counter",
        "Batches that the hub did not take, by its reason.",
        [({"reason": reason}, count) for reason, count in link["refusals"].items()],
    )
    for name, description in (
        ("sent_parcels", "Parcels that the hub has answered."),
        ("sent_bytes", "Bytes of these parcels."),
        ("acknowledged_batches", "Batches that the hub has acknowledged."),
        ("acknowledged_records", "Records of these batches."),
        ("returned_batches", "Batches that the hub had and has no longer."),
    ):
        yield f"{name}_total", "counter", description, [({}, link[name])]
    aside = len(link["set_aside"])
    yield "set_aside_batches", "gauge", "Batches that the hub fails at, and that are tried again later.", [({}, aside)]
    if link["clock_offset_us"] is not None:
        offset_s = link["clock_offset_us"] / _US_PER_S
        yield "clock_offset_seconds", "gauge", "The hub's clock minus the site's.", [({}, offset_s)]
    if link["last_answer_us"] is not None:
        age_s = _age_s(status, link["last_answer_us"])
        yield "last_answer_seconds", "gauge", "Time since the hub's latest answer.", [({}, age_s)]


def _orders(status: Mapping[str, Any]) -> Iterable[tuple[str, str, str, Samples]]:
    orders = status["orders"]
    yield "orders_total", "counter", "Orders of the hub that were taken.", [({}, orders["taken"])]
    yield (
        "refused_orders_total",
        "counter",
        "What came as an order and is not done, by the reason.",
        [({"reason": reason}, count) for reason, count in orders["refused"].items()],
    )


def _age_s(status: Mapping[str, Any], at_us: int | None) -> float:
    return 0.0 if at_us is None else max(0.0, (status["at_us"] - at_us) / _US_PER_S)


def _histogram(name: str, description: str, histogram: Histogram) -> list[str]:
    lines = [f"# HELP {_PREFIX}{name} {description}", f"# TYPE {_PREFIX}{name} histogram"]
    below = 0
    for bound, count in zip((*map(str, LATENCY_BOUNDS_S), "+Inf"), histogram.counts, strict=True):
        below += count
        lines.append(_sample(f"{name}_bucket", {"le": bound}, below))
    return [*lines, _sample(f"{name}_sum", {}, histogram.total_s), _sample(f"{name}_count", {}, below)]


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{label}="{escape(text)}"' for label, text in labels.items())
    return f"{_PREFIX}{name}{{{shown}}} {float(value):.10g}" if shown else f"{_PREFIX}{name} {float(value):.10g}"
