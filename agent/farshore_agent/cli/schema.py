"""`farshore-agent schema`."""

from __future__ import annotations

import click

from farshore_agent.cli.output import print_json


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the settings file, for editors that complete and check TOML.

    \b
    Example:
      farshore-agent schema > farshore-agent.schema.json
      then, as the first line of the settings:  #:schema ./farshore-agent.schema.json

    Exit codes: 0 printed.
    """
    from farshore_agent.settings import schema

    print_json(schema())
