"""Draws how cost grows with work: an SVG made of the JSON lines that `backlog`, `streams` and `sites` have written.

    python -m tests.benchmarks.growth_plot RESULTS.jsonl docs/growth.svg

Both axes are logarithmic; a flat line is what is hoped for, and a dashed one shows what growing with the work would be.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: the figures of one benchmark, against its size.

    Attributes:
        benchmark: whose lines are read.
        over: what the size is, for the axis.
        lines: the end of a figure's name, and how its line is called.
    """

    benchmark: str
    over: str
    lines: tuple[tuple[str, str], ...]


PANELS: Final = (
    Panel(
        "backlog",
        "records that wait at an agent",
        (
            ("edge CPU per record, draining", "edge CPU, µs/record"),
            ("hub CPU per record, in the lake", "hub CPU, µs/record"),
            ("peak RSS while draining", "edge peak RSS, MiB"),
            ("disk per record", "edge disk, B/record"),
            ("start to ready", "start to ready, s"),
        ),
    ),
    Panel(
        "streams",
        "streams of an agent",
        (
            ("edge CPU per record", "edge CPU, µs/record"),
            ("hub CPU per record, in the lake", "hub CPU, µs/record"),
            ("edge peak RSS", "edge peak RSS, MiB"),
            ("edge disk", "edge disk, B/record"),
            ("wire", "wire, B/record"),
        ),
    ),
    Panel(
        "sites",
        "sites of a hub",
        (
            ("hub CPU per batch", "hub CPU, µs/batch"),
            ("lake, hub CPU per record", "lake CPU, µs/record"),
            ("hub RSS", "hub RSS, MiB"),
            ("hub database per record", "hub database, B/record"),
        ),
    ),
)

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 330, 260, 52, 34, 44, 16
_LEGEND_ROW: Final = 15
_COLOURS: Final = ("#0b6e99", "#b5541c", "#3d7d3f", "#7a4fa3", "#8a6d00")
_SIZE: Final = re.compile(r"([\d,]+)(?: \w+)?: (.*)")
_STYLE: Final = (
    "text{font:11px sans-serif;fill:#444}.t{font-weight:bold;font-size:12px}.g{stroke:#ddd}.d{stroke:#999;"
    "stroke-dasharray:4 4;fill:none}path{fill:none;stroke-width:2}"
)


def draw(results: Path, to: Path) -> bool:
    """Draw the panels that have results; False, and nothing is written, when none has."""
    found = _series(results)
    panels = [(panel, found[panel.benchmark]) for panel in PANELS if found.get(panel.benchmark)]
    if not panels:
        return False
    rows = max(len(panel.lines) for panel, _ in panels)
    width, height = len(panels) * (_WIDTH + _GAP), _HEIGHT + rows * _LEGEND_ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
    ]
    for number, (panel, series) in enumerate(panels):
        parts.append(f'<g transform="translate({number * (_WIDTH + _GAP)} 0)">')
        parts += _panel(panel, series)
        parts.append("</g>")
    to.write_text("\n".join([*parts, "</svg>", ""]))
    return True


def _series(results: Path) -> dict[str, dict[str, list[Point]]]:
    """By benchmark and figure: size and value. Of several runs of a benchmark the one with most sizes counts."""
    best: dict[str, dict[str, list[Point]]] = {}
    for line in results.read_text().splitlines():
        one: dict[str, Any] = json.loads(line)
        found: dict[str, list[Point]] = defaultdict(list)
        for figure in one["figures"]:
            if named := _SIZE.fullmatch(figure["name"]):
                found[named[2]].append((float(named[1].replace(",", "")), float(figure["value"])))
        if _sizes(found) > _sizes(best.get(one["benchmark"], {})):
            best[one["benchmark"]] = dict(found)
    return best


def _sizes(series: dict[str, list[Point]]) -> int:
    return max(map(len, series.values()), default=0)


def _panel(panel: Panel, series: dict[str, list[Point]]) -> Iterator[str]:
    shown = [
        (label, points)
        for end, label in panel.lines
        for name, points in series.items()
        if name.startswith(end) and name.removeprefix(end)[:1] in {"", " "}
    ]
    scale = _Scale([point for _, points in shown for point in points])
    yield f'<text class="t" x="{_LEFT}" y="18">{escape(panel.over)}</text>'
    yield from scale.grid()
    yield scale.proportional()
    for number, (label, points) in enumerate(shown):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " L".join(f"{scale.x(x):.1f} {scale.y(y):.1f}" for x, y in points)
        yield f'<path stroke="{colour}" d="M{path}"/>'
        for x, y in points:
            yield f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="3" fill="{colour}"/>'
        y_legend = _HEIGHT + number * _LEGEND_ROW
        yield f'<rect x="{_LEFT}" y="{y_legend - 9}" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{_LEFT + 16}" y="{y_legend}">{escape(label)}</text>'


class _Scale:
    """From values to the panel's coordinates."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._x = _decades([x for x, _ in points])
        self._y = _decades([y for _, y in points])

    def x(self, value: float) -> float:
        """Where a size lies."""
        return _LEFT + _share(value, self._x) * (_WIDTH - _LEFT - 10)

    def y(self, value: float) -> float:
        """Where a figure lies."""
        bottom = _HEIGHT - _BOTTOM
        return bottom - _share(value, self._y) * (bottom - _TOP)

    def grid(self) -> Iterator[str]:
        """A line and a number for each power of ten."""
        for power in range(self._x[0], self._x[1] + 1):
            x = self.x(10.0**power)
            yield f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            yield f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_power(power)}</text>'
        for power in range(self._y[0], self._y[1] + 1):
            y = self.y(10.0**power)
            yield f'<line class="g" x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_power(power)}</text>'

    def proportional(self) -> str:
        """What would grow with the work, from the lower left corner on."""
        (x0, x1), (y0, y1) = self._x, self._y
        powers = min(x1 - x0, y1 - y0)
        start, end = ((x0, y0), (x0 + powers, y0 + powers))
        path = " L".join(f"{self.x(10.0**x):.1f} {self.y(10.0**y):.1f}" for x, y in (start, end))
        return f'<path class="d" d="M{path}"/>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    known = [value for value in values if value > 0]
    low = math.floor(math.log10(min(known, default=1)))
    return low, max(low + 1, math.ceil(math.log10(max(known, default=1))))


def _share(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return max(0.0, (math.log10(value) - low) / (high - low)) if value > 0 else 0.0


def _power(power: int) -> str:
    return f"{10.0**power:,.0f}" if 0 <= power <= 4 else f"10<tspan dy='-4' font-size='8'>{power}</tspan>"


if __name__ == "__main__":
    if not draw(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.exit(f"{sys.argv[1]} has no results of backlog, streams or sites")
