"""`farshore-hub ledger`: the accounts against the facts that they are made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table
from farshore_hub.opening import open_hub
from farshore_hub.rebuild import rebuild as rebuild_ledger

EXIT_DIFFERED: Final = 20

command = click.Group("ledger", help="The ledger against the facts that it is made of.")


@command.command("rebuild")
@click.option("--dry-run", is_flag=True, help="Compare only, and change nothing.")
@as_json
@data_dir
def rebuild(dry_run: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Make every account, and its hours, again from what came: claims, batches, receipts. Say what was different.

    The hub may be running.

    \b
    Examples:
      farshore-hub ledger rebuild --dry-run
      farshore-hub ledger rebuild

    \b
    Exit codes: 0 nothing differed, 4 the database does not answer, 20 something differed
    """
    with open_hub(data_dir) as hub:
        found = rebuild_ledger(hub.engine, hub.fleet.clock.now_us(), write=not dry_run)
    rows = [(each.site, each.stream, each.incarnation.hex(), each.what) for each in found]
    columns = ("site", "stream", "incarnation", "differs in")
    if as_json:
        print_json([dict(zip(("site", "stream", "incarnation", "what"), row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        click.echo("the ledger is what its facts say")
    if found:
        sys.exit(EXIT_DIFFERED)
