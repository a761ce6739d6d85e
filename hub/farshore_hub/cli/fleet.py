"""`farshore-hub fleet`: how the sites stand, the worst first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.ledger.standing import Choice, Order, Standing
from farshore_hub.opening import open_hub
from farshore_hub.overview import Overview
from farshore_hub.views import SiteLineView, StandingsView

_COUNTS: Final = ("streams", "produced", "stored", "pending", "shed", "quarantined", "gap")


@click.command("fleet")
@click.option("--search", default="", help="Only sites with this in their name.")
@click.option("--standing", type=click.Choice([each.value for each in Standing]), help="Only sites that stand so.")
@click.option("--silent", is_flag=True, help="Only sites that are silent.")
@click.option("--stream", help="Judged by this stream alone.")
@click.option("--sort", type=click.Choice([each.value for each in Order]), default=Order.WORST.value, show_default=True)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Sites at most.")
@as_json
@data_dir
def command(
    search: str,
    standing: str | None,
    silent: bool,  # noqa: FBT001
    stream: str | None,
    sort: str,
    limit: int,
    as_json: bool,  # noqa: FBT001
    data_dir: Path,
) -> None:
    """Show how the sites stand, the worst first.

    A site stands as the worst of its streams: gap (some records are nowhere), unknown (silent for too long), pending
    (some are still at the edge), new (not heard yet), complete.

    \b
    Examples:
      farshore-hub fleet
      farshore-hub fleet --standing gap --json
      farshore-hub fleet --stream readings --sort name --limit 1000

    \b
    Exit codes: 0 shown, 5 the stream's name is none
    """
    choice = Choice(search, Standing(standing) if standing else None, silent, Order(sort))
    with open_hub(data_dir) as hub:
        overview = Overview(hub.fleet, hub.place.settings.completeness.silent_after)
        report = overview.report(choice, stream, limit=limit)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)


def _print(report: StandingsView) -> None:
    columns = ("site", "stands", *_COUNTS, "oldest pending", "last heard (UTC)")
    print_table(columns, [_row(line) for line in report.sites], numbers=_COUNTS)
    counts = ", ".join(f"{count:,} {standing}" for standing, count in report.summary.by_standing.items())
    shown = f" ({len(report.sites):,} of {report.found:,} shown)" if len(report.sites) < report.found else ""
    click.echo(f"{report.summary.sites:,} sites: {counts or 'none'}{shown}")


def _row(line: SiteLineView) -> list[str]:
    counts = [f"{getattr(line, name):,}" for name in _COUNTS]
    return [line.name, line.standing, *counts, shown_time(line.oldest_pending_us), shown_time(line.heard_us)]
