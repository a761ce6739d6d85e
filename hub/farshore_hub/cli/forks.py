"""`farshore-hub forks`: records that claim sequences which others have."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from farshore_hub.audit.found import export_fork, list_forks, show_fork
from farshore_hub.cli.options import as_json, data_dir, open_output, print_json, print_table, shown_time
from farshore_hub.fleet import sites
from farshore_hub.opening import open_hub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.reports import check_stream

command = click.Group("forks", help="List, show and export what two machines have sent as one site.")


@command.command("list")
@click.option("--site", help="Only this site.")
@click.option("--stream", help="Only this stream.")
@as_json
@data_dir
def listing(*, site: str | None, stream: str | None, as_json: bool, data_dir: Path) -> None:
    """List the batches that are kept aside, because their sequences were stored already with other content.

    It happens when a running machine is duplicated: both copies use the same sequences. Nothing of either is thrown
    away, and the copy that comes second begins a new incarnation by itself.

    \b
    Examples:
      farshore-hub forks list
      farshore-hub forks list --site pump-station-7 --json

    \b
    Exit codes: 0 listed, 5 the stream's name is not one, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        if site is not None:
            sites.find(hub.fleet, site)
        if stream is not None:
            check_stream(stream)
        found = list_forks(hub.engine, site, stream)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    columns = ("id", "site", "stream", "incarnation", "first", "last", "received (UTC)")
    rows = [(*(getattr(each, name) for name in columns[:6]), shown_time(each.received_us)) for each in found]
    print_table(columns, rows, numbers=("id", "first", "last"))


@command.command("show")
@click.argument("fork", type=click.IntRange(1))
@as_json
@data_dir
def show(*, fork: int, as_json: bool, data_dir: Path) -> None:
    """Show one of them, and what is stored in its place.

    \b
    Example:
      farshore-hub forks show 1

    \b
    Exit codes: 0 shown, 6 there is no such fork
    """
    with open_hub(data_dir) as hub:
        found = show_fork(hub.engine, fork)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    aside = ", ".join(f"{first}-{last}" for first, last in found.aside)
    click.echo(f"fork {found.id}: {found.site}/{found.stream} {aside} (incarnation {found.incarnation})")
    click.echo(f"received {shown_time(found.received_us)} UTC, {found.size:,} bytes, digest {found.digest}")
    for each in found.in_its_place:
        click.echo(f"stored in its place: {each.first}-{each.last} of {shown_time(each.received_us)}, {each.digest}")


@command.command("export")
@click.argument("fork", type=click.IntRange(1))
@click.option("--output", "-o", type=click.File("wb", lazy=True), default="-", help="File to write.  [default: stdout]")
@data_dir
def export(*, fork: int, output: BinaryIO, data_dir: Path) -> None:
    """Write its records, a line of JSON each, as the site sent them.

    \b
    Example:
      farshore-hub forks export 1 -o fork-1.ndjson

    \b
    Exit codes: 0 written, 6 there is no such fork
    """
    with open_hub(data_dir) as hub:
        open_output(output)
        output.writelines(export_fork(hub.engine, BatchOpener(hub.engine, hub.keys), fork))
        output.flush()
