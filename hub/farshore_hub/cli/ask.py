"""`farshore-hub site ask`: asks a site again for what is missing of it."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, who
from farshore_hub.opening import open_hub
from farshore_hub.orders.asking import ask_again
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.reports import check_stream


@click.command("ask")
@click.argument("name")
@click.option("--stream", help="Only for what is missing of this stream.")
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@as_json
@data_dir
def command(name: str, stream: str | None, by: str, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001
    """Ask a site again for what is missing of it, as far as it did not give it up itself.

    The site sends once more what it still keeps (retain_acknowledged), and says how much that is: see
    `farshore-hub site show NAME`. What the hub's own copy has lost it asks for by itself.

    \b
    Examples:
      farshore-hub site ask pump-station-7
      farshore-hub site ask pump-station-7 --stream boiler --json

    \b
    Exit codes: 0 asked, 5 the stream's name is not one, 6 there is no such site, nothing to ask it for, or it
    takes no orders
    """
    if stream is not None:
        check_stream(stream)
    with open_hub(data_dir) as hub:
        asked = ask_again(OrderDesks.of(hub.fleet).commands, name, stream, by)
    if as_json:
        print_json(asked.model_dump(mode="json"))
        return
    rows = [
        [each.id, *(each.arguments[key] for key in ("stream", "first", "last")), each.outcome or each.state]
        for each in asked.commands
    ]
    print_table(("command", "stream", "first", "last", "stands"), rows, numbers=("first", "last"))
    if asked.left:
        click.echo(f"{asked.left} more range(s) are missing: ask again when these are answered", err=True)
