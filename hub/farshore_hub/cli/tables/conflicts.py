"""Values that have lost: list and show them, put one back, decide what nobody could but you."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from farshore_hub.cli.options import Time, as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.cli.tables.edits import by_option, reason_option, tell
from farshore_hub.cli.tables.group import command, desk, limit_option
from farshore_hub.errors import Malformed
from farshore_hub.merge.policy import Policy
from farshore_hub.merged.row import By
from farshore_hub.merged.views import WrittenView
from farshore_hub.store.merge import AskedConflicts

_STATES: Final = ["lost", "open", "resolved", "undone"]
_POLICIES: Final = [*(str(each) for each in Policy), "deleted"]
_number = click.argument("number", type=click.IntRange(1))


@command.command("conflicts")
@click.argument("name", required=False, default="")
@click.option("--site", default="", help="Only those that this site has a part in.")
@click.option("--column", default="", help="Only of this column.")
@click.option("--policy", type=click.Choice(_POLICIES), default=None, help="Only those that it has decided.")
@click.option("--state", type=click.Choice(_STATES), default=None, help="Only those; open: they wait for somebody.")
@click.option("--since", type=Time(), default=0, help="Only those found since, as in 2026-11-26T14:00Z.")
@limit_option
@as_json
@data_dir
def conflicts(  # noqa: PLR0913 - an option each
    *,
    name: str,
    site: str,
    column: str,
    policy: str | None,
    state: str | None,
    since: int,
    limit: int,
    as_json: bool,
    data_dir: Path,
) -> None:
    """List the values that have lost against another one, the newest first. Times are UTC.

    \b
    Examples:
      farshore-hub tables conflicts orders
      farshore-hub tables conflicts --state open
      farshore-hub tables conflicts orders --site shop-7 --column total --since 2026-11-26T00:00Z --json

    \b
    Exit codes: 0 listed, 6 there is no such table
    """
    asked = AskedConflicts(name, site, column, policy or "", state or "", since, None, limit)
    with desk(data_dir) as at:
        if name:
            at.layout(name)
        found = at.conflicts(asked)
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    print_table(
        ("id", "found", "table", "key", "column", "kept", "by", "lost", "by", "policy", "state"),
        [
            (each.id, shown_time(each.found_us), each.table, each.key, each.column, _value(each.kept), _by(each.kept),
             _value(each.lost), _by(each.lost), each.policy, each.state)
            for each in found
        ],
    )  # fmt: skip


@command.command("conflict")
@_number
@as_json
@data_dir
def conflict(*, number: int, as_json: bool, data_dir: Path) -> None:
    """Show one value that has lost: against which, when both were written, by whom, and why.

    \b
    Example:
      farshore-hub tables conflict 17

    \b
    Exit codes: 0 shown, 6 there is none of that number
    """
    with desk(data_dir) as at:
        found = at.conflict(number)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"{found.table} {found.key} {found.column}: {found.state}, by the policy {found.policy}: {found.reason}")
    print_table(("", "value", "by", "written"), [_side("kept", found.kept), _side("lost", found.lost)])


@command.command("undo")
@_number
@reason_option
@by_option
@as_json
@data_dir
def undo(*, number: int, reason: str, by: str, as_json: bool, data_dir: Path) -> None:
    """Put the value that has lost in conflict NUMBER back, as a change of the hub that goes to the sites.

    A row that was deleted is made again, with what is left of it. Of a counter or a set, what was lost is added.

    \b
    Example:
      farshore-hub tables undo 17 --reason "the shop was right"

    \b
    Exit codes: 0 done, 6 there is none of that number, it was undone already, or the value would lose again
    """
    with desk(data_dir) as at:
        tell(at.undo(number, By(by, reason)), as_json=as_json)


@command.command("resolve")
@_number
@click.option("--value", default=None, help="JSON: what is to stand.  [default: what stands there now]")
@reason_option
@by_option
@as_json
@data_dir
def resolve(*, number: int, value: str | None, reason: str, by: str, as_json: bool, data_dir: Path) -> None:
    """Decide what stands in the cell of the open conflict NUMBER, and settle all that is open of that cell.

    \b
    Examples:
      farshore-hub tables resolve 17
      farshore-hub tables resolve 17 --value '"M"' --reason "asked the customer"

    \b
    Exit codes: 0 done, 5 the value does not fit, 6 there is none of that number, or it is not open
    """
    given = [] if value is None else [_read(value)]
    with desk(data_dir) as at:
        tell(at.resolve(number, By(by, reason), *given), as_json=as_json)


def _read(text: str) -> object:
    try:
        read: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(
            f"--value is not JSON: {error}", remedy="a text is written with quotes, as in '\"M\"'"
        ) from None
    return read


def _side(which: str, written: WrittenView) -> tuple[str, ...]:
    return which, _value(written), _by(written), shown_time(written.at_us)


def _value(written: WrittenView) -> str:
    return "NULL" if written.value is None else written.value


def _by(written: WrittenView) -> str:
    return written.site or "(the hub)"
