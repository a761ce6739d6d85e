"""What is merged, and what is in it."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table
from farshore_hub.cli.tables.group import command, desk, limit_option
from farshore_hub.merged.views import TableView


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
    with desk(data_dir) as at:
        found = at.tables()
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    if not found:
        click.echo("no table is merged yet: declare it in hub.toml ([tables.NAME]), and capture it at a site")
        return
    columns = ("table", "view", "key", "columns", "batches", "conflicts", "open", "misfits")
    print_table(columns, [_row(each) for each in found])


@command.command("show")
@click.argument("name")
@limit_option
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
    with desk(data_dir) as at:
        layout, rows = at.layout(name), at.rows(name, limit)
    if as_json:
        print_json(rows)
        return
    names = [each.name for each in (*layout.key, *layout.cells)]
    print_table(names, [["" if row[each] is None else str(row[each]) for each in names] for row in rows])


def _row(table: TableView) -> tuple[str, ...]:
    key = ", ".join(each.name for each in table.columns if each.key)
    columns = ", ".join(each.name for each in table.columns if not each.key)
    counts = (table.batches, table.conflicts, table.open, table.misfits)
    return (table.name, table.view, key, columns, *map(str, counts))
