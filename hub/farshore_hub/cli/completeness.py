"""`farshore-hub completeness`: what is complete, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.opening import open_hub
from farshore_hub.reports import Reporter
from farshore_hub.views import CompletenessView, StreamView

EXIT_GAPS: Final = 10

_COUNTS: Final = ("produced", "stored", "pending", "shed", "quarantined", "gap")


@click.command("completeness")
@click.option("--site", help="Only this site.")
@click.option("--stream", help="Only this stream.")
@click.option("--gaps", is_flag=True, help="Only where something is missing, with its ranges.")
@click.option("--check", is_flag=True, help="Exit with 10 if anything is missing.")
@as_json
@data_dir
def command(site: str | None, stream: str | None, gaps: bool, check: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001
    """Show per site and stream what is complete, and what is missing.

    Always: produced = stored + pending + shed + quarantined + gap. Pending is still at the edge, shed was given up
    there with a receipt, a gap is nowhere. A site that is silent for long is unknown, never complete.

    \b
    Examples:
      farshore-hub completeness
      farshore-hub completeness --site pump-station-7 --gaps
      farshore-hub completeness --check --json

    \b
    Exit codes: 0 shown, 6 there is no such site or stream, 10 --check and something is missing
    """
    with open_hub(data_dir) as hub:
        reporter = Reporter(hub.fleet, hub.place.settings.completeness.silent_after)
        report = reporter.completeness(site, stream, gaps=gaps)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)
    if check and any(line.gap for line in report.streams):
        sys.exit(EXIT_GAPS)


def _print(report: CompletenessView) -> None:
    columns = ("site", "stream", "state", *_COUNTS, "oldest pending", "last heard (UTC)")
    print_table(columns, [_row(line) for line in report.streams], numbers=_COUNTS)
    for line in report.streams:
        _print_gaps(line)


def _row(line: StreamView) -> list[str]:
    counts = [f"{getattr(line, name):,}" for name in _COUNTS]
    return [line.site, line.stream, line.state, *counts, shown_time(line.oldest_pending_us), shown_time(line.heard_us)]


def _print_gaps(line: StreamView) -> None:
    for gap in line.gaps:
        click.echo(f"missing: {line.site} {gap.stream} {gap.first}-{gap.last} (incarnation {gap.incarnation})")
