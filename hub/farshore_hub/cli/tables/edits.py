"""The hub's own changes of merged tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.cli.tables.group import command, desk, limit_option
from farshore_hub.errors import Invalid, Malformed
from farshore_hub.merge.edits import BadEdit, key_of_text
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.row import By
from farshore_hub.merged.views import EditedView

by_option = click.option("--by", default=who, show_default="your login", help="Who says so.")
reason_option = click.option("--reason", default="", help="Why.")
_key = click.argument("key", nargs=-1, required=True)


@command.command("set")
@click.argument("name")
@_key
@click.option("--cells", required=True, help="A JSON object: column to value; '-' reads it from standard input.")
@reason_option
@by_option
@as_json
@data_dir
def set_(*, name: str, key: tuple[str, ...], cells: str, reason: str, by: str, as_json: bool, data_dir: Path) -> None:
    """Write cells of the row KEY of the table NAME; the row is made if there is none.

    It is merged like a site's change, by the table's policies, and kept with your name. KEY has a value for each
    column of the key.

    \b
    Examples:
      farshore-hub tables set orders 17 --cells '{"total": 12.5, "note": null}'
      farshore-hub tables set prices ulm A-100 --cells '{"price": 990}' --reason "list of December"
      echo '{"total": 12.5}' | farshore-hub tables set orders 17 --cells -

    \b
    Exit codes: 0 written, 5 the key or a value does not fit, 6 there is no such table
    """
    read = _read_cells(cells)
    with desk(data_dir) as at:
        tell(at.change(name, _read_key(at, name, key), read, By(by, reason)), as_json=as_json)


@command.command("delete")
@click.argument("name")
@_key
@reason_option
@by_option
@as_json
@data_dir
def delete(*, name: str, key: tuple[str, ...], reason: str, by: str, as_json: bool, data_dir: Path) -> None:
    """Delete the row KEY of the table NAME.

    \b
    Examples:
      farshore-hub tables delete orders 17 --reason "a test"
      farshore-hub tables delete prices ulm A-100

    \b
    Exit codes: 0 deleted, 5 the key does not fit, 6 there is no such table or row
    """
    with desk(data_dir) as at:
        tell(at.delete(name, _read_key(at, name, key), By(by, reason)), as_json=as_json)


@command.command("edits")
@click.argument("name")
@limit_option
@as_json
@data_dir
def edits(*, name: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """Show what was changed at the hub, by whom and why, the newest first. Times are UTC.

    \b
    Example:
      farshore-hub tables edits orders

    \b
    Exit codes: 0 shown, 6 there is no such table
    """
    with desk(data_dir) as at:
        found = at.edits(name, limit)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    columns = ("id", "when", "who", "what", "key", "cells", "why")
    print_table(
        columns,
        [(each.id, shown_time(each.made_us), each.made_by, each.op, _json(each.key), _json(each.cells), each.reason)
         for each in found],
    )  # fmt: skip


def _read_cells(text: str) -> dict[str, Any]:
    try:
        read = json.loads(sys.stdin.read() if text == "-" else text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"--cells is not JSON: {error}", remedy="as in '{\"total\": 12.5}'") from None
    if not isinstance(read, dict) or not read:
        raise Invalid("--cells is a JSON object with at least one column", remedy="as in '{\"total\": 12.5}'")
    return read


def _read_key(at: TableDesk, name: str, key: tuple[str, ...]) -> list[Any]:
    try:
        return key_of_text(key, at.layout(name))
    except BadEdit as error:
        raise Invalid(str(error)) from None


def tell(edited: EditedView, *, as_json: bool) -> None:
    """Say what has become of the row."""
    if as_json:
        print_json(edited.model_dump(mode="json"))
        return
    click.echo("there is no such row now" if edited.row is None else f"the row is now {_json(edited.row)}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
