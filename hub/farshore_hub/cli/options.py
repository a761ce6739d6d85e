"""Options that several commands have, and how they print."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farshore_hub import settings
from farshore_hub.errors import NotReady
from farshore_hub.texts.durations import parse_duration_s
from farshore_protocol.event_time import BadTime, event_time_us
from farshore_shell.owner import NotOurs, act_as_owner_of, as_caller
from farshore_shell.texts import printable

_WIDE: Final = 1000


class Duration(click.ParamType[int]):
    """A duration such as `24h`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it, or say what is wrong."""
        try:
            return value if isinstance(value, int) else parse_duration_s(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Time(click.ParamType[int]):
    """A time such as `2026-11-26T08:30Z`, in microseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it, or say what is wrong."""
        try:
            return value if isinstance(value, int) else event_time_us(value)
        except BadTime as error:
            self.fail(str(error), param, ctx)


def _given_before_the_command() -> Path:
    named = click.get_current_context().find_root().params.get("data_dir")
    return named if isinstance(named, Path) else settings.default_data_dir()


_FOLDER: Final = click.Path(file_okay=False, readable=False, path_type=Path)
"""Whether it can be read is looked at when it is used: root uses it as its owner."""

any_data_dir: Final = click.option(
    "--data-dir",
    type=_FOLDER,
    envvar=settings.DATA_DIR_VARIABLE,
    help="The hub's folder.  [default: $FARSHORE_HUB_DIR, ./farshore-hub or /var/lib/farshore-hub]",
)
"""For the group: `farshore-hub --data-dir DIR site list`."""


def _entered(_context: click.Context, _option: click.Parameter, folder: Path) -> Path:
    """The folder; root uses it as its owner."""
    try:
        act_as_owner_of(folder)
    except NotOurs as error:
        raise NotReady(f"{folder} cannot be used by this user", remedy=str(error)) from None
    return folder


data_dir: Final = click.option(
    "--data-dir",
    type=_FOLDER,
    default=_given_before_the_command,
    show_default=False,
    callback=_entered,
    help="The hub's folder.",
)
"""For a command: `farshore-hub site list --data-dir DIR`."""

as_json: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

expires: Final = click.option(
    "--expires", type=Duration(), default="24h", show_default=True, help="How long the join token may be used."
)


def open_output(output: BinaryIO) -> None:
    """Open a file that was named for output, as whoever has called the command."""
    opening = getattr(output, "open", None)  # click's LazyFile has it; it is no BinaryIO to the type checker
    if opening:
        with as_caller():
            opening()


def print_json(value: object) -> None:
    """Print for programs."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Collection[str] = ()) -> None:
    """Print for people; nothing is cut off where it does not go to a terminal."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(Text(printable(name)), justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        # As text: in a plain string rich would take [words] in brackets for its own markup.
        table.add_row(*(Text("-" if value is None else printable(str(value))) for value in row))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def shown_time(time_us: int | None) -> str:
    """Microseconds since 1970 for people: UTC, to the second."""
    if time_us is None:
        return "-"
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def who() -> str:
    """Who gives this command, for the book."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
