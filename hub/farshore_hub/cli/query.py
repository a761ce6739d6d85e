"""`farshore-hub query`: SQL over everything that is stored."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click

from farshore_hub.behind import opened_reader
from farshore_hub.cli.options import data_dir, print_json, print_table
from farshore_hub.opening import open_hub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.texts.tables import rows_of


@click.command("query")
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@data_dir
def command(sql: str, form: str, data_dir: Path) -> None:
    """Ask with one SELECT in DuckDB's SQL.

    Every stream is a table of its name, with _site, _time and _seq beside its fields. What is stored and not in the
    lake yet is there too.

    \b
    Examples:
      farshore-hub query "SELECT _site, count(*), max(_time) FROM boiler GROUP BY _site"
      farshore-hub query 'SELECT * FROM "air-quality" LIMIT 10' --format csv

    \b
    Exit codes: 0 answered, 5 the query has an error or is over a bound, 6 there is no such stream
    """
    with open_hub(data_dir) as hub, opened_reader(hub, BatchOpener(hub.engine, hub.keys), at_once=True) as reader:
        web = hub.place.settings.web
        found = reader.query(sql, timeout_s=web.query_timeout, max_rows=web.max_query_rows)
    columns, rows = found.column_names, rows_of(found)
    if form == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif form == "csv":
        csv.writer(sys.stdout).writerows([columns, *rows])
    else:
        print_table(columns, rows)
