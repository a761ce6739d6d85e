"""`farshore-hub export`: all records of a stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from farshore_hub.behind import opened_reader
from farshore_hub.cli.options import data_dir, open_output
from farshore_hub.fleet import sites
from farshore_hub.lake.export import Wanted
from farshore_hub.lake.formats import Format
from farshore_hub.opening import open_hub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.reports import check_stream


@click.command("export")
@click.argument("stream")
@click.option("--site", help="Only this site.")
@click.option(
    "--format", "form", type=click.Choice([str(form) for form in Format]), default="ndjson", show_default=True
)
@click.option("--output", type=click.File("wb", lazy=True), default="-", help="File to write.  [default: stdout]")
@data_dir
def command(stream: str, site: str | None, form: str, output: BinaryIO, data_dir: Path) -> None:
    """Write all records of a stream, by site, incarnation and sequence.

    NDJSON is what the sites sent, record for record; CSV and Parquet have the columns of a query. However many they
    are, they take no more than bounded memory and room on the disk ([lake] max_spill_bytes).

    \b
    Examples:
      farshore-hub export boiler > boiler.ndjson
      farshore-hub export boiler --site pump-station-7 --format parquet --output boiler.parquet

    \b
    Exit codes: 0 written, 5 a few records alone do not fit memory, 6 there is no such stream or site, 7 busy
    """
    with open_hub(data_dir) as hub, opened_reader(hub, BatchOpener(hub.engine, hub.keys), at_once=True) as reader:
        if site is not None:
            sites.find(hub.fleet, site)
        open_output(output)
        output.writelines(reader.export(Wanted(check_stream(stream), site), Format(form)))
        output.flush()
    sys.stdout.flush()
