"""`farshore-hub secret`: values that settings name and never show."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time, who
from farshore_hub.errors import Invalid
from farshore_hub.opening import open_hub
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.secrets import MAX_CHARS
from farshore_hub.orders.views import SecretView

command = click.Group("secret", help="Set, list and delete secrets that settings name.")


@command.command("set")
@click.argument("name")
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@data_dir
def set_(name: str, by: str, data_dir: Path) -> None:
    """Set a secret to what comes on the standard input, or is asked for at a terminal. It is never shown again.

    Settings name it as ${secret.NAME}. It comes to the sites that do with the next `farshore-hub config apply`.

    \b
    Examples:
      farshore-hub secret set BROKER_PASSWORD < password.txt
      pass show broker | farshore-hub secret set BROKER_PASSWORD

    \b
    Exit codes: 0 set, 5 the name or the value is not allowed
    """
    with open_hub(data_dir) as hub:
        version = OrderDesks.of(hub.fleet).secrets.set(name, _value(name), by)
    click.echo(f"secret {name} is set, for the {version}. time; sites get it with: farshore-hub config apply FOLDER")


@command.command("list")
@as_json
@data_dir
def listing(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List the names of all secrets. Times are UTC.

    \b
    Example:
      farshore-hub secret list

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = OrderDesks.of(hub.fleet).secrets.listing()
    if as_json:
        print_json([SecretView.model_validate(each).model_dump(mode="json") for each in found])
    else:
        rows = [[each.name, each.version, shown_time(each.set_us), each.set_by] for each in found]
        print_table(("name", "set so often", "last", "who"), rows)


@command.command("delete")
@click.argument("name")
@click.option("--by", default=who, show_default="your login", help="Who says so.")
@data_dir
def delete(name: str, by: str, data_dir: Path) -> None:
    """Forget a secret. What sites have of it stays there until they get other settings.

    \b
    Example:
      farshore-hub secret delete BROKER_PASSWORD

    \b
    Exit codes: 0 done, 6 there is no such secret
    """
    with open_hub(data_dir) as hub:
        OrderDesks.of(hub.fleet).secrets.delete(name, by)
    click.echo(f"secret {name} is deleted")


def _value(name: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(f"value of {name}", hide_input=True, confirmation_prompt=True)
        return asked
    try:
        given = sys.stdin.buffer.read(4 * MAX_CHARS + 2).decode()
    except UnicodeDecodeError:
        raise Invalid("a secret is UTF-8 text", remedy="encode it, as with base64") from None
    return given.removesuffix("\n").removesuffix("\r")
