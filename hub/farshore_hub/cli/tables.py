"""`farshore-hub tables`: what sites' tables were merged into, and which values have lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.errors import Unknown
from farshore_hub.merge.policy import Rules
from farshore_hub.merged.table import rows_of, view_of
from farshore_hub.opening import open_hub
from farshore_hub.settings import HubSettings
from farshore_hub.store import merge
from farshore_hub.store.engine import reading
from farshore_hub.store.merge import MergedTable
from farshore_hub.texts.tables import plain

command = click.Group("tables", help="Show the merged tables, their conflicts, and what could not be merged.")
_limit = click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most.")


@command.command("list")
@as_json
@data_dir
def list_(*, as_json: bool, data_dir: Path) -> None:
    """List the merged tables.

    \b
    Examples:
      farshore-hub tables list
      farshore-hub tables list --json | jq '.[].conflicts'
    """
    with _opened(data_dir) as (connection, _):
        found = merge.tables(connection)
    if as_json:
        print_json([_document(each) for each in found])
        return
    if not found:
        click.echo("no table is merged yet: declare it in hub.toml ([tables.NAME]), and capture it at a site")
        return
    columns = ("table", "view", "key", "columns", "batches", "conflicts", "misfits")
    print_table(columns, [_row(each) for each in found])


@command.command("show")
@click.argument("name")
@_limit
@as_json
@data_dir
def show(*, name: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """Show rows of a merged table, in the order of their key.

    With SQL of your own: the view table_NAME in the hub's database.

    \b
    Examples:
      farshore-hub tables show orders --limit 10
      farshore-hub tables show orders --json

    \b
    Exit codes: 0 shown, 6 there is no such table
    """
    with _opened(data_dir) as (connection, settings):
        table = _table(connection, name)
        # As it is declared; as it is usual where it no longer is.
        rules = settings.tables[name].rules() if name in settings.tables else Rules()
        rows = rows_of(connection, table.id, table.layout, rules, limit)
    shown = [{column: plain(value) for column, value in row.items()} for row in rows]
    if as_json:
        print_json(shown)
        return
    names = [each.name for each in (*table.layout.key, *table.layout.cells)]
    print_table(names, [["" if row[each] is None else str(row[each]) for each in names] for row in shown])


@command.command("conflicts")
@click.argument("name")
@_limit
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
    with _opened(data_dir) as (connection, _):
        found = merge.conflicts_of(connection, _table(connection, name).id, limit)
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


@command.command("misfits")
@click.argument("name")
@_limit
@as_json
@data_dir
def misfits(*, name: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """Show changes that the merged table cannot take in, and why. They are kept, and in the lake.

    \b
    Example:
      farshore-hub tables misfits orders

    \b
    Exit codes: 0 shown, 6 there is no such table
    """
    with _opened(data_dir) as (connection, _):
        found = merge.misfits_of(connection, _table(connection, name).id, limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("found", "why", "change"), [(shown_time(each["found_us"]), each["why"], each["change"]) for each in found]
    )


@contextmanager
def _opened(data_dir: Path) -> Iterator[tuple[Connection, HubSettings]]:
    with open_hub(data_dir) as hub, reading(hub.engine) as connection:
        yield connection, hub.place.settings


def _table(connection: Connection, name: str) -> MergedTable:
    for each in merge.tables(connection):
        if each.name == name:
            return each
    raise Unknown(f"no table {name!r} is merged here", remedy="farshore-hub tables list shows those that are")


def _document(table: MergedTable) -> dict[str, Any]:
    columns = [{"name": each.name, "type": each.type, "key": each in table.layout.key}
               for each in (*table.layout.key, *table.layout.cells)]  # fmt: skip
    counts = {"batches": table.batches, "conflicts": table.conflicts, "misfits": table.misfits}
    return {"name": table.name, "view": view_of(table.name), "columns": columns, **counts}


def _row(table: MergedTable) -> tuple[str, ...]:
    key = ", ".join(each.name for each in table.layout.key)
    columns = ", ".join(each.name for each in table.layout.cells)
    return (table.name, view_of(table.name), key, columns, *map(str, (table.batches, table.conflicts, table.misfits)))


def _value(written: dict[str, Any]) -> str:
    return "NULL" if written["value"] is None else str(written["value"])
