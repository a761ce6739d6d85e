"""Values that have lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.cli.tables.group import command, desk, limit_option
from farshore_hub.merged.desk import found_table
from farshore_hub.store import merge
from farshore_hub.store.engine import reading


@command.command("conflicts")
@click.argument("name")
@limit_option
@as_json
@data_dir
def conflicts(*, name: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """Show the values that have lost against those of other sites, the newest first.

    \b
    Examples:
      farshore-hub tables conflicts orders
      farshore-hub tables conflicts orders --json | jq '.[] | select(.policy == "deleted")'

    \b
    Exit codes: 0 shown, 6 there is no such table
    """
    with desk(data_dir) as at, reading(at.engine) as connection:
        found = merge.conflicts_of(connection, found_table(connection, name)[0], limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("found", "key", "column", "kept", "by", "lost", "by", "policy"),
        [
            (shown_time(each["found_us"]), each["key"], each["column"], _value(each["kept"]), each["kept"]["site"],
             _value(each["lost"]), each["lost"]["site"], each["policy"])
            for each in found
        ],
    )  # fmt: skip


def _value(written: dict[str, Any]) -> str:
    return "NULL" if written["value"] is None else str(written["value"])
