"""`farshore-hub completeness`: what is complete, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import Time, as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.ledger.hours import HourLine, HourState
from farshore_hub.opening import open_hub, reporter_of
from farshore_hub.reports import Reporter
from farshore_hub.views import CompletenessView, FleetView, HoursView, HourView, StreamView
from farshore_protocol.hours import HOUR_US

EXIT_GAPS: Final = 10

_COUNTS: Final = ("produced", "stored", "pending", "shed", "quarantined", "gap")
_LETTERS: Final = {
    HourState.EMPTY: ".",
    HourState.COMPLETE: "c",
    HourState.SHED: "s",
    HourState.PENDING: "p",
    HourState.UNKNOWN: "?",
    HourState.GAP: "G",
}


@click.command("completeness")
@click.option("--site", help="Only this site.")
@click.option("--stream", help="Only this stream.")
@click.option("--gaps", is_flag=True, help="Only where something is missing, with its ranges.")
@click.option("--hours", "by_hour", is_flag=True, help="By the hour of event time: a site's streams, or every site.")
@click.option("--from", "since_us", type=Time(), help="With --hours: from when on.  [default: a day back]")
@click.option("--to", "until_us", type=Time(), help="With --hours: until when.  [default: now]")
@click.option("--at", "at_us", type=Time(), help="As it was known at that time.")
@click.option("--check", is_flag=True, help="Exit with 10 if anything is missing.")
@as_json
@data_dir
def command(
    site: str | None,
    stream: str | None,
    since_us: int | None,
    until_us: int | None,
    at_us: int | None,
    data_dir: Path,
    **flags: bool,
) -> None:
    """Show per site and stream what is complete, and what is missing.

    Always: produced = stored + pending + shed + quarantined + gap. Pending is still at the edge, shed was given up
    there with a receipt, a gap is nowhere. A site that is silent for long is unknown, never complete.

    \b
    Examples:
      farshore-hub completeness
      farshore-hub completeness --site pump-station-7 --gaps
      farshore-hub completeness --at 2026-11-25T12:00Z
      farshore-hub completeness --hours
      farshore-hub completeness --hours --site pump-station-7 --from 2026-11-25T00:00Z
      farshore-hub completeness --check --json

    \b
    Exit codes: 0 shown, 6 there is no such site or stream, 10 --check and something is missing
    """
    gaps, by_hour, as_json = flags["gaps"], flags["by_hour"], flags["as_json"]
    limited = since_us is not None or until_us is not None
    _check_options(stream, gaps=gaps or at_us is not None, by_hour=by_hour, limited=limited)
    with open_hub(data_dir) as hub:
        reporter = reporter_of(hub)
        if by_hour:
            missing = _show_hours(reporter, site, reporter.asked(since_us, until_us), as_json=as_json)
        else:
            missing = _show_streams(reporter.completeness(site, stream, gaps=gaps, at_us=at_us), as_json=as_json)
    if flags["check"] and missing:
        sys.exit(EXIT_GAPS)


def _check_options(stream: str | None, *, gaps: bool, by_hour: bool, limited: bool) -> None:
    if by_hour and (stream is not None or gaps):
        raise click.UsageError("--hours goes with --site, --from and --to, and with no other choice")
    if limited and not by_hour:
        raise click.UsageError("--from and --to go with --hours")


def _show_streams(report: CompletenessView, *, as_json: bool) -> bool:
    """Print the report; whether something is missing."""
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)
    return any(line.gap for line in report.streams)


def _print(report: CompletenessView) -> None:
    columns = ("site", "stream", "state", *_COUNTS, "oldest pending", "last heard (UTC)")
    print_table(columns, [_row(line) for line in report.streams], numbers=_COUNTS)
    for line in report.streams:
        _print_gaps(line)
        if line.forked:
            click.echo(f"kept aside: {line.forked:,} records of {line.site} {line.stream} (farshore-hub forks list)")
    for site in report.over_quota:
        click.echo(f"over its quota: of {site} no batches are taken (sites.max_kept_bytes in hub.toml)")


def _row(line: StreamView) -> list[str]:
    counts = [f"{getattr(line, name):,}" for name in _COUNTS]
    return [line.site, line.stream, line.state, *counts, shown_time(line.oldest_pending_us), shown_time(line.heard_us)]


def _print_gaps(line: StreamView) -> None:
    for gap in line.gaps:
        click.echo(f"missing: {line.site} {gap.stream} {gap.first}-{gap.last} (incarnation {gap.incarnation})")


def _show_hours(reporter: Reporter, site: str | None, hours: range, *, as_json: bool) -> bool:
    if site is None:
        return _show_fleet(reporter.fleet_view(hours), as_json=as_json)
    lines = reporter.hours(site, hours.start, hours.stop - 1)
    if as_json:
        views = [HourView.model_validate(line) for line in lines]
        view = HoursView(from_us=hours.start * HOUR_US, to_us=hours.stop * HOUR_US, hours=views)
        print_json(view.model_dump(mode="json"))
    else:
        shown = [line for line in lines if line.state is not HourState.EMPTY]
        print_table(("stream", "hour (UTC)", "state", *_COUNTS), map(_hour_row, shown), numbers=_COUNTS)
    return any(line.gap for line in lines)


def _hour_row(line: HourLine) -> list[str]:
    return [line.stream, shown_time(line.hour_us), line.state, *(f"{getattr(line, name):,}" for name in _COUNTS)]


def _show_fleet(view: FleetView, *, as_json: bool) -> bool:
    if as_json:
        print_json(view.model_dump(mode="json"))
    else:
        last_us = view.to_us - HOUR_US
        columns = ("site", f"{shown_time(view.from_us)} to {shown_time(last_us)}, by the hour", "produced", "stored")
        rows = [
            (row.site, "".join(map(_LETTERS.__getitem__, row.cells)), f"{row.produced:,}", f"{row.stored:,}")
            for row in view.sites
        ]
        print_table(columns, rows, numbers=("produced", "stored"))
        click.echo(" ".join(f"{letter} {state}" for state, letter in _LETTERS.items()))
    return any(HourState.GAP in row.cells for row in view.sites)
