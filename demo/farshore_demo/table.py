"""What the demo shows: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from farshore_demo.check import Finding
from farshore_demo.story import World

_REFRESH_S: Final = 0.25
_LINES_SHOWN: Final = 6


@contextlib.asynccontextmanager
async def shown(world: World, console: Console) -> AsyncIterator[None]:
    """Show the world while the body runs: live in a terminal, the events as lines in a log."""
    if console.is_terminal:
        with Live(console=console, get_renderable=lambda: picture(world), refresh_per_second=int(1 / _REFRESH_S)):
            yield
        return
    printer = asyncio.create_task(_print_events(world, console))
    try:
        yield
    finally:
        printer.cancel()
        console.print(picture(world))


def picture(world: World) -> RenderableType:
    """The table and the last events."""
    table = Table(title="Farshore demo: three sites, one hub", title_justify="left")
    for heading in ("site", "door"):
        table.add_column(heading)
    for heading in ("records", "given", "stored", "pending", "gap", "complete", "B/record"):
        table.add_column(heading, justify="right")
    table.add_column("now")
    for site in world.sites:
        seen, total = world.seen(site), len(site.source.records)
        wire = f"{(site.proxy.up_bytes + site.proxy.down_bytes) / seen.stored:.1f}" if seen.stored else "-"
        table.add_row(
            *(site.source.site, site.feed.door, f"{total:,}", f"{site.given:,}", f"{seen.stored:,}"),
            *(f"{seen.pending:,}", f"{seen.gap:,}", f"{seen.stored / total:.0%}", wire, site.note),
        )
    return Group(table, *(Text(f"  {line}") for line in world.said[-_LINES_SHOWN:]))


def verdict(findings: list[Finding]) -> RenderableType:
    """The result of the check, by stream."""
    table = Table(title="Every stored record against its source, by content", title_justify="left")
    for heading in ("site", "stream"):
        table.add_column(heading)
    for heading in ("source", "stored", "missing", "doubled", "changed", "verdict"):
        table.add_column(heading, justify="right")
    for each in findings:
        table.add_row(
            *(each.source.site, each.source.stream, f"{len(each.source.records):,}", f"{each.stored:,}"),
            *(f"{each.missing:,}", f"{each.doubled:,}", f"{each.foreign:,}", "right" if each.right else "WRONG"),
        )
    return table


async def _print_events(world: World, console: Console) -> None:
    printed = 0
    while True:
        for line in world.said[printed:]:
            console.print(line)
        printed = len(world.said)
        await asyncio.sleep(_REFRESH_S)
