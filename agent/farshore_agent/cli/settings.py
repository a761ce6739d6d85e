"""`farshore-agent settings`."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json

command = click.Group("settings", help="Show the settings that are in force.")


@command.command("show")
@click.option("--origin", is_flag=True, help="Say of each where it comes from: default, file or hub.")
@click.option("--secrets", is_flag=True, help="Show secrets, too.")
@options.config
@options.as_json
def show(config: Path | None, *, origin: bool, secrets: bool, as_json: bool) -> None:
    """Print every setting that is in force: the site's file with what the hub has sent over it.

    \b
    Examples:
      farshore-agent settings show
      farshore-agent settings show --origin | grep hub$
      farshore-agent settings show --json

    Exit codes: 0 shown, 1 the state folder cannot be used, 3 the settings are not valid.
    """
    from farshore_agent.orders.force import peek
    from farshore_agent.settings.show import shown

    found = list(shown(peek(options.open_file(config)), secrets=secrets))
    if as_json:
        print_json([each.document() for each in found])
        return
    width = max(len(str(each)) for each in found) if origin else 0
    for each in found:
        click.echo(f"{each!s:{width}}  # {each.origin}" if origin else str(each))
