"""`farshore-hub command`: have sites do something once, and see what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from farshore_hub.cli.labels import read_labels
from farshore_hub.cli.options import Duration, as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.errors import Invalid
from farshore_hub.opening import open_hub
from farshore_hub.orders.commands import CommandDesk, is_settled
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.views import CommandView
from farshore_shell.files import open_private

EXIT_NOT_DONE: Final = 12
_POLL_S: Final = 0.25

command = click.Group("command", help="Have sites do something once, and see what they answer.")

_stream: Final = click.option("--stream", required=True, help="Of which stream.")


def _sent(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all commands to sites have in common."""
    options = (
        click.argument("sites", nargs=-1),
        click.option("--label", "labels", multiple=True, help="All sites with this label, as in region=north."),
        click.option("--wait", type=Duration(), default="2min", show_default=True, help="How long to wait."),
        click.option("--expires", type=Duration(), default="1h", show_default=True, help="Not done after this."),
        click.option("--by", default=who, show_default="your login", help="Who says so."),
        as_json,
        data_dir,
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("flush")
@_sent
def flush(**given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES seal and send everything that they have, now.

    \b
    Examples:
      farshore-hub command flush pump-station-7
      farshore-hub command flush --label region=north --wait 10min

    \b
    Exit codes: 0 done, 5 no such argument, 6 a site takes no orders, 12 not done, or not answered in time
    """
    _send("flush", {}, given)


@command.command("pause")
@_stream
@_sent
def pause(stream: str, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES hold a stream back: its records are kept there and not sent.

    \b
    Example:
      farshore-hub command pause --stream vibration pump-station-7

    \b
    Exit codes: as of flush
    """
    _send("pause", {"stream": stream}, given)


@command.command("resume")
@_stream
@_sent
def resume(stream: str, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES send a stream again.

    \b
    Example:
      farshore-hub command resume --stream vibration pump-station-7

    \b
    Exit codes: as of flush
    """
    _send("resume", {"stream": stream}, given)


@command.command("resend")
@_stream
@click.option("--first", type=click.IntRange(1), required=True, help="The first sequence.")
@click.option("--last", type=click.IntRange(1), required=True, help="The last sequence.")
@_sent
def resend(stream: str, first: int, last: int, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES send a range of a stream once more, as far as they still have it.

    \b
    Example:
      farshore-hub command resend --stream boiler --first 1001 --last 2000 pump-station-7

    \b
    Exit codes: as of flush
    """
    _send("resend", {"stream": stream, "first": str(first), "last": str(last)}, given)


@command.command("rotate-keys")
@_sent
def rotate_keys(**given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES begin a new key epoch and ask for a new certificate.

    \b
    Example:
      farshore-hub command rotate-keys pump-station-7

    \b
    Exit codes: as of flush
    """
    _send("rotate-keys", {}, given)


@command.command("support-bundle")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Write the bundles into this folder.")
@_sent
def support_bundle(to: Path | None, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES collect what helps to find a fault, without records and secrets.

    \b
    Example:
      farshore-hub command support-bundle pump-station-7 --to bundles/

    \b
    Exit codes: as of flush
    """
    _send("support-bundle", {}, given, to)


@command.command("log-level")
@click.option("--level", type=click.Choice(["debug", "info", "warning", "error"]), required=True)
@click.option("--for", "lasts", type=Duration(), required=True, help="How long, as in 10min.")
@_sent
def log_level(level: str, lasts: int, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Have SITES log more, or less, for a time.

    \b
    Example:
      farshore-hub command log-level --level debug --for 10min pump-station-7

    \b
    Exit codes: as of flush
    """
    _send("log-level", {"level": level, "minutes": str(-(-lasts // 60))}, given)


@command.command("list")
@click.option("--site", help="Only of this site.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@as_json
@data_dir
def listing(site: str | None, limit: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List commands and their answers, the newest first. Times are UTC.

    \b
    Example:
      farshore-hub command list --site pump-station-7

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        _print(OrderDesks.of(hub.fleet).commands.listed(site, limit), as_json=as_json)


@command.command("show")
@click.argument("number", type=click.IntRange(1))
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write what the answer brought.")
@as_json
@data_dir
def show(number: int, to: Path | None, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show a command and its answer; with --to write the data that came with it.

    \b
    Example:
      farshore-hub command show 17 --to bundle.zip

    \b
    Exit codes: 0 shown, 6 there is no such command, or no data
    """
    with open_hub(data_dir) as hub:
        desk = OrderDesks.of(hub.fleet).commands
        _print(desk.find([number]), as_json=as_json)
        if to is not None:
            _write(desk.data(number), to)


def _send(name: str, arguments: dict[str, str], given: dict[str, Any], to: Path | None = None) -> None:
    with open_hub(given["data_dir"]) as hub:
        desk = OrderDesks.of(hub.fleet).commands
        labels = read_labels(given["labels"])
        if bool(given["sites"]) == bool(labels):
            raise Invalid("say which sites: either their names or --label KEY=VALUE")
        sites = list(given["sites"]) or desk.chosen(labels)
        made = desk.order(sites, name, arguments, given["expires"], given["by"])
        found = _awaited(desk, [each.id for each in made], given["wait"])
        if to is not None:
            _write_data(desk, found, to)
    _print(found, as_json=given["as_json"])
    if any(each.outcome != "done" for each in found):
        raise SystemExit(EXIT_NOT_DONE)


def _awaited(desk: CommandDesk, ids: list[int], wait_s: int) -> list[CommandView]:
    """The commands when all of them are settled, or after that time."""
    until_s = time.monotonic() + wait_s
    found = desk.find(ids)
    while not all(map(is_settled, found)) and time.monotonic() < until_s:
        time.sleep(_POLL_S)
        found = desk.find(ids)
    return found


def _write_data(desk: CommandDesk, found: list[CommandView], to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for each in found:
        if each.outcome == "done":
            _write(desk.data(each.id), to / f"{each.site}-{each.id}.zip")


def _write(data: bytes, to: Path) -> None:
    with open_private(to) as file:
        file.write(data)


def _print(found: list[CommandView], *, as_json: bool) -> None:
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    rows = [
        [
            each.id,
            each.site,
            " ".join([each.command, *(f"{key}={value}" for key, value in each.arguments.items())]),
            each.outcome or each.state,
            each.text,
            each.made_by,
            shown_time(each.made_us),
        ]
        for each in found
    ]
    print_table(("id", "site", "command", "stands", "answer", "who", "when"), rows)
