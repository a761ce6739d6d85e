"""`farshore-hub losses`: what is not stored, and why."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.audit.found import MAX_LOSSES, find_losses
from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.fleet import sites
from farshore_hub.ledger.losses import LossCause
from farshore_hub.opening import open_hub
from farshore_hub.reports import check_stream


@click.command("losses")
@click.option("--site", help="Only this site.")
@click.option("--stream", help="Only this stream.")
@click.option("--cause", type=click.Choice([str(cause) for cause in LossCause]), help="Only of this cause.")
@click.option("--limit", type=click.IntRange(1, MAX_LOSSES), default=1000, show_default=True, help="The most to show.")
@as_json
@data_dir
def command(
    *, site: str | None, stream: str | None, cause: str | None, limit: int, as_json: bool, data_dir: Path
) -> None:
    """List every range of records that was produced and is neither stored nor on its way.

    With when and why, as far as it is known: given up at the site (evicted, thinned, expired, quarantined), damaged in
    the site's store, damaged at the hub and no longer kept at the site, or forgotten by a hub that was restored.

    \b
    Examples:
      farshore-hub losses
      farshore-hub losses --site pump-station-7 --cause hub-damage --json

    \b
    Exit codes: 0 listed, 5 the stream's name is not one, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        if site is not None:
            sites.find(hub.fleet, site)
        if stream is not None:
            check_stream(stream)
        found = find_losses(hub.engine, site, stream, None if cause is None else LossCause(cause), limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    columns = ("site", "stream", "incarnation", "first", "last", "records", "cause", "state", "since (UTC)", "detail")
    rows = [
        (*(getattr(each, name) for name in columns[:8]), shown_time(each.since_us), each.detail)
        for each in found.losses
    ]
    print_table(columns, rows, numbers=("first", "last", "records"))
    if not found.is_whole:
        click.echo(f"these are the first {limit}; --limit shows more", err=True)
