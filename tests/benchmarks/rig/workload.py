"""The one workload that every figure is measured with: what 50 pumps say once a second each.

Eleven fields, 199 bytes of JSON a record on average, about 4.8 bytes of entropy. The same seed makes the same records
on every machine. Records are made block by block with NumPy, so that a million take two seconds and little memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

DEVICES: Final = 50
STATES: Final = ("running", "idle", "starting", "stopped")
FIELDS: Final = (
    "site",
    "device",
    "seq",
    "ts",
    "temperature_c",
    "humidity_pct",
    "vibration_mm_s",
    "supply_v",
    "current_a",
    "quality",
    "state",
)
ENTROPY_BYTES: Final = 4.8
"""Of a record, on average: log2 of the spread of each random field; site, device, `seq` and the second tell nothing."""

_START_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""

_JITTER_MS: Final = 400
_BLOCK_TICKS: Final = 1_000
_GOOD, _UNCERTAIN, _UNCERTAIN_SHARE = 192, 64, 0.005
_STATE_CHANGES: Final = 0.01
_SITE: Final = "s017"

Row = tuple[Any, ...]
"""The values of one record, in the order of FIELDS."""

_Block = list[list[Any]]


class Workload:
    """An endless supply; `rows`, `records` and `lines` go on where the last call ended."""

    def __init__(self, seed: int = 4) -> None:
        self._random = np.random.default_rng(seed)
        self._devices = [f"pump-{number:02}" for number in range(1, DEVICES + 1)]
        self._tick = 0
        draw = self._random
        self._temperature = draw.uniform(35, 60, DEVICES)
        self._humidity = draw.uniform(40, 60, DEVICES)
        self._current = draw.uniform(8, 14, DEVICES)
        self._state = draw.integers(0, len(STATES), DEVICES)
        self._rows = itertools.chain.from_iterable(self._blocks())

    def rows(self, count: int) -> Iterator[Row]:
        """The values of the next records."""
        return itertools.islice(self._rows, count)

    def records(self, count: int) -> list[dict[str, Any]]:
        """The next records as Python values."""
        return [dict(zip(FIELDS, row, strict=True)) for row in self.rows(count)]

    def lines(self, count: int) -> list[bytes]:
        """The next records as lines of NDJSON, each with its line feed."""
        return [
            (
                f'{{"site":"{site}","device":"{device}","seq":{seq},"ts":{ts},"temperature_c":{temperature},'
                f'"humidity_pct":{humidity},"vibration_mm_s":{vibration},"supply_v":{supply},"current_a":{current},'
                f'"quality":{quality},"state":"{state}"}}\n'
            ).encode()
            for site, device, seq, ts, temperature, humidity, vibration, supply, current, quality, state in self.rows(
                count
            )
        ]

    def _blocks(self) -> Iterator[Iterator[Row]]:
        while True:
            yield zip(*self._block(), strict=True)

    def _block(self) -> _Block:
        """The columns of the next `_BLOCK_TICKS` seconds; each device speaks in its turn within every second."""
        shape = (_BLOCK_TICKS, DEVICES)
        count = _BLOCK_TICKS * DEVICES
        draw, first = self._random, self._tick * DEVICES
        seconds = np.repeat(np.arange(self._tick, self._tick + _BLOCK_TICKS), DEVICES)
        self._tick += _BLOCK_TICKS
        self._temperature, temperature = _walk(self._temperature, draw.normal(0, 0.05, shape))
        self._humidity, humidity = _walk(self._humidity, draw.normal(0, 0.1, shape))
        self._current, current = _walk(self._current, draw.normal(0, 0.01, shape))
        changes = (draw.random(shape) < _STATE_CHANGES) * draw.integers(1, len(STATES), shape)
        self._state, state = _walk(self._state, changes)
        return [
            [_SITE] * count,
            self._devices * _BLOCK_TICKS,
            list(range(first + 1, first + count + 1)),
            (_START_MS + 1_000 * seconds + draw.integers(0, _JITTER_MS + 1, count)).tolist(),
            temperature.round(2).tolist(),
            humidity.round(1).tolist(),
            np.abs(draw.normal(1.2, 0.3, count)).round(4).tolist(),
            draw.normal(24, 0.05, count).round(3).tolist(),
            current.round(2).tolist(),
            np.where(draw.random(count) < _UNCERTAIN_SHARE, _UNCERTAIN, _GOOD).tolist(),
            [STATES[each] for each in (state % len(STATES)).tolist()],
        ]


def _walk(start: Any, steps: Any) -> tuple[Any, Any]:  # noqa: ANN401 - NumPy arrays of floats or integers
    """Where each device's walk ends, and all values on the way, second by second."""
    path = start + np.cumsum(steps, axis=0)
    return path[-1], path.reshape(-1)
