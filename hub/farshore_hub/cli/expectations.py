"""`farshore-hub expectations`: what a site's streams promise, and what they make of it."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.alerting import promises_of
from farshore_hub.cli.options import Time, as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.fleet import sites
from farshore_hub.opening import open_hub, reporter_of
from farshore_hub.watch.views import ExpectedHourView, expected_hour_view

_NUMBERS = ("expected", "produced", "missing")


@click.command("expectations")
@click.option("--site", required=True, help="The site.")
@click.option("--stream", help="Only this stream.")
@click.option("--from", "since_us", type=Time(), help="From when on.  [default: a day back]")
@click.option("--to", "until_us", type=Time(), help="Until when.  [default: now]")
@as_json
@data_dir
def command(
    site: str,
    stream: str | None,
    since_us: int | None,
    until_us: int | None,
    as_json: bool,  # noqa: FBT001 - click's way
    data_dir: Path,
) -> None:
    """Show by the hour what a site's streams promise, what the agent got, and what never reached it.

    Streams promise with [[expect]] in hub.toml. Times are UTC. Of an hour of which the site has not told yet nobody can
    say what is missing.

    \b
    Example:
      farshore-hub expectations --site pump-station-7 --stream boiler

    \b
    Exit codes: 0 shown, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        sites.find(hub.fleet, site)
        hours = reporter_of(hub).asked(since_us, until_us)
        found = promises_of(hub).hours(site, hours)
    lines = [expected_hour_view(line, is_known=known) for line, known in found if stream in (None, line.stream)]
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
    else:
        print_table(("stream", "hour", *_NUMBERS), [_row(line) for line in lines], numbers=_NUMBERS)


def _row(line: ExpectedHourView) -> list[object]:
    missing = None if line.missing is None else f"{line.missing:,.0f}"
    return [line.stream, shown_time(line.hour_us)[:13], f"{line.expected:,.0f}", f"{line.produced:,}", missing]
