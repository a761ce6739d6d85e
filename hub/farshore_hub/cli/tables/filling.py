"""Tables that the hub itself fills: define them, load their rows from a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import click

from farshore_hub.cli.options import as_json, data_dir, print_json
from farshore_hub.cli.tables.edits import by_option, reason_option
from farshore_hub.cli.tables.group import command, desk
from farshore_hub.errors import Invalid, Malformed
from farshore_hub.merge.edits import BadEdit, row_of_text
from farshore_hub.merge.layout import Layout
from farshore_hub.merge.types import Type
from farshore_hub.merged.row import By
from farshore_protocol.limits import MIB

_TYPES: Final = ", ".join(Type)
_MAX_FILE_BYTES: Final = 64 * MIB


@command.command("define")
@click.argument("name")
@click.option("--key", "keys", multiple=True, required=True, metavar="COLUMN[:TYPE]", help="A column of the key.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN[:TYPE]", help="Another column.")
@by_option
@as_json
@data_dir
def define(
    *, name: str, keys: tuple[str, ...], columns: tuple[str, ...], by: str, as_json: bool, data_dir: Path
) -> None:
    """Make the table NAME at the hub, without any site that has it; one that is there gets the columns that it lacks.

    It has to be declared as [tables.NAME] in hub.toml, with 'down = true' where sites are to follow it. TYPE is one of
    integer, real, text, bytes, any; without one it is text.

    \b
    Examples:
      farshore-hub tables define prices --key article --column price:real --column name
      farshore-hub tables define limits --key machine --key sensor:integer --column highest:real

    \b
    Exit codes: 0 defined, 5 there can be no such table, 6 it is not declared, or has another key
    """
    with desk(data_dir) as at:
        at.reference.define(name, _columns(keys), _columns(columns), By(by))
        table = next(each for each in at.tables() if each.name == name)
    if as_json:
        print_json(table.model_dump(mode="json"))
        return
    shown = ", ".join(f"{each.name} {each.type}{' (key)' if each.key else ''}" for each in table.columns)
    click.echo(f"{name} has the columns {shown}")
    click.echo(f"next: farshore-hub tables load {name} FILE")


@command.command("load")
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@click.option("--replace", is_flag=True, help="Rows that are not in FILE are deleted.")
@reason_option
@by_option
@as_json
@data_dir
def load(*, name: str, file: IO[bytes], replace: bool, reason: str, by: str, as_json: bool, data_dir: Path) -> None:
    """Write the rows of FILE into the table NAME, all or none; only what differs is written, and travels.

    FILE is CSV with a line of names (it ends in .csv), or NDJSON; '-' is NDJSON on standard input. In CSV an empty
    field is NULL. What a row does not name stays as it is.

    \b
    Examples:
      farshore-hub tables load prices prices.csv --replace --reason "list of December"
      echo '{"article": "A-100", "price": 9.9}' | farshore-hub tables load prices -

    \b
    Exit codes: 0 loaded, 5 a row does not fit and nothing was written, 6 there is no such table
    """
    text = _text(file)
    with desk(data_dir) as at:
        is_csv = file.name.lower().endswith(".csv")
        rows = list(_csv(text, at.layout(name)) if is_csv else _ndjson(text))
        told = at.reference.load(name, rows, By(by, reason), replace=replace)
    if as_json:
        print_json(told.model_dump(mode="json"))
        return
    click.echo(f"{told.added} added, {told.changed} changed, {told.deleted} deleted, {told.unchanged} as they were")


def _columns(given: Sequence[str]) -> dict[str, Type]:
    columns: dict[str, Type] = {}
    for each in given:
        name, colon, type_ = each.rpartition(":")
        if not colon:
            name, type_ = each, Type.TEXT
        if type_ not in set(Type):
            raise click.UsageError(f"{type_!r} is no type: there are {_TYPES}")
        if name in columns:
            raise click.UsageError(f"the column {name!r} is there twice")
        columns[name] = Type(type_)
    return columns


def _text(file: IO[bytes]) -> str:
    raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise Invalid(f"the file has more than {_MAX_FILE_BYTES} bytes", remedy="load it in parts")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the file is not UTF-8 at byte {error.start}", remedy="save it as UTF-8") from None


def _ndjson(text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"line {number} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise Malformed(f"line {number}: a row is a JSON object")
        yield row


def _csv(text: str, layout: Layout) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise Malformed(f"line {reader.line_num} has another number of fields than the first one")
            yield row_of_text(row, layout)
    except csv.Error as error:
        raise Malformed(f"line {reader.line_num} is not CSV: {error}") from None
    except BadEdit as error:
        raise Invalid(f"line {reader.line_num}: {error}") from None
