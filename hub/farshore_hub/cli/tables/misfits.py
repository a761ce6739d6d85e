"""Changes that did not fit: list and show them, say what they mean, try them once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.cli.tables.edits import by_option, reason_option
from farshore_hub.cli.tables.group import command, desk, limit_option
from farshore_hub.errors import Malformed
from farshore_hub.merge.mapping import MapKind
from farshore_hub.merged.row import By
from farshore_hub.merged.views import MappingView, TriedView
from farshore_hub.store.misfits import AskedMisfits

_STATES: Final = ["waiting", "merged", "all"]


@command.command("misfits")
@click.argument("name", required=False, default="")
@click.option("--site", default="", help="Only those of this site.")
@click.option("--state", type=click.Choice(_STATES), default="waiting", show_default=True, help="Only those.")
@limit_option
@as_json
@data_dir
def misfits(*, name: str, site: str, state: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """List changes that a merged table cannot take in, and why. They are kept, hold up nothing, and are in the lake.

    \b
    Examples:
      farshore-hub tables misfits orders
      farshore-hub tables misfits --site shop-7 --state all --json

    \b
    Exit codes: 0 listed, 6 there is no such table
    """
    with desk(data_dir) as at:
        found = at.misfits.listed(AskedMisfits(name, site, "" if state == "all" else state, None, limit))
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    print_table(
        ("id", "found", "table", "site", "key", "why", "state"),
        [(each.id, shown_time(each.found_us), each.table, each.site, _json(each.change.get("key")), each.why,
          each.state)
         for each in found],
    )  # fmt: skip


@command.command("misfit")
@click.argument("number")
@as_json
@data_dir
def misfit(*, number: str, as_json: bool, data_dir: Path) -> None:
    """Show one of them whole: what the site said, and why it does not fit.

    \b
    Example:
      farshore-hub tables misfit 812-3

    \b
    Exit codes: 0 shown, 6 there is none of that number
    """
    with desk(data_dir) as at:
        found = at.misfits.misfit(number)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"{found.table}, from {found.site}, {shown_time(found.found_us)}: {found.state}: {found.why}")
    click.echo(json.dumps(found.change, ensure_ascii=False, indent=2))


@command.command("map")
@click.argument("name")
@click.option("--rename", metavar="COLUMN=OTHER", help="What does not fit COLUMN goes into OTHER, made if need be.")
@click.option("--default", metavar="COLUMN=JSON", help="This value takes its place; of a key, of a missing part.")
@click.option("--widen", metavar="COLUMN", help="The column holds any value from now on, as JSON text.")
@click.option("--drop", metavar="COLUMN", help="It is left out; the rest of the change is merged.")
@reason_option
@by_option
@as_json
@data_dir
def map_(*, name: str, reason: str, by: str, as_json: bool, data_dir: Path, **said: str | None) -> None:
    """Say what becomes of values of a column that do not fit, and merge the misfits of the table NAME once more.

    COLUMN is called as a site calls it. What fits, and what was merged before, stays as it is. A later declaration for
    the same column takes the place of an earlier one.

    \b
    Examples:
      farshore-hub tables map orders --widen stock
      farshore-hub tables map orders --default 'stock=0' --reason "shop 7 writes 'none'"
      farshore-hub tables map orders --rename price=price_text
      farshore-hub tables map orders --drop colour

    \b
    Exit codes: 0 declared, 5 it does not go with the table, 6 there is no such table
    """
    given = [(MapKind(kind), text) for kind, text in said.items() if text is not None]
    if len(given) != 1:
        raise click.UsageError("say one of --rename, --default, --widen and --drop")
    [(kind, text)] = given
    column, to = _read(kind, text)
    with desk(data_dir) as at:
        _tell(at.misfits.declare(name, column, kind, to, By(by, reason)), as_json=as_json)


@command.command("mappings")
@click.argument("name")
@as_json
@data_dir
def mappings(*, name: str, as_json: bool, data_dir: Path) -> None:
    """Show what was declared with `tables map`, by whom and why, the newest first. Times are UTC.

    \b
    Example:
      farshore-hub tables mappings orders

    \b
    Exit codes: 0 shown, 6 there is no such table
    """
    with desk(data_dir) as at:
        found = at.misfits.mappings(name)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    print_table(("when", "who", "column", "what", "why"), [_row(each) for each in found])


@command.command("replay")
@click.argument("name")
@as_json
@data_dir
def replay(*, name: str, as_json: bool, data_dir: Path) -> None:
    """Try all misfits of the table NAME once more, as after its policy was changed in hub.toml.

    \b
    Example:
      farshore-hub tables replay orders

    \b
    Exit codes: 0 tried, 6 there is no such table
    """
    with desk(data_dir) as at:
        _tell(at.misfits.replay(name), as_json=as_json)


def _read(kind: MapKind, text: str) -> tuple[str, Any]:
    if kind in {MapKind.WIDEN, MapKind.DROP}:
        return text, None
    column, is_there, to = text.partition("=")
    if not is_there or not column:
        raise click.UsageError(f"--{kind} is COLUMN={'OTHER' if kind is MapKind.RENAME else 'JSON'}, not {text!r}")
    if kind is MapKind.RENAME:
        return column, to
    try:
        return column, json.loads(to)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"--default is not JSON: {error}", remedy="a text is in quotes, as in 'size=\"M\"'") from None


def _tell(tried: TriedView, *, as_json: bool) -> None:
    if as_json:
        print_json(tried.model_dump(mode="json"))
        return
    click.echo(f"{tried.merged} merged, {tried.waiting} do not fit still")


def _row(each: MappingView) -> tuple[str, ...]:
    what = f"{each.kind} {each.to}".strip()
    return shown_time(each.made_us), each.made_by, each.column, what, each.reason


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
