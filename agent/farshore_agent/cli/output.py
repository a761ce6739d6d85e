"""How commands print: tables and times for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_SPANS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print for programs."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first to the left, the others to the right."""
    lines = [columns, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join([first, *others]).rstrip()


def shown_bytes(count: float) -> str:
    """`1.5 MiB`."""
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.1f} {_UNITS[-1]}"


def shown_span(seconds: float) -> str:
    """`3 min`, in the largest unit of which there is at least one."""
    for unit, size in _SPANS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def shown_time(time_us: int | None) -> str:
    """Microseconds since 1970 for people: UTC, to the second."""
    if time_us is None:
        return "-"
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
