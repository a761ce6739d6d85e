"""The group of all commands: finds each in its own module when it is called, and prints what goes wrong in one way."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from farshore_hub.cli.options import any_data_dir
from farshore_hub.errors import HubError, NotReady, of_protocol
from farshore_protocol import __version__
from farshore_protocol.errors import ProtocolError

_COMMANDS: Final = {
    "init": ("init", "Make a hub."),
    "serve": ("serve", "Run it."),
    "site": ("site", "Add, list and revoke sites."),
    "token": ("token", "Make, list and revoke API tokens."),
    "completeness": ("completeness", "Show what is complete, and what is missing."),
    "query": ("query", "Ask with SQL."),
    "export": ("export", "Write all records of a stream."),
    "import": ("import_", "Take parcels that came as files."),
    "db": ("db", "Show or upgrade the database's version."),
}
"""Command to its module in this package, which has a `command`, and what it does."""

_EXIT_INTERRUPTED: Final = 130


class _Commands(click.Group):
    """Imports a command's module when the command is named, so that `site list` does not load the lake."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"farshore_hub.cli.{_COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="farshore-hub", message="%(prog)s %(version)s")
@any_data_dir
def root(data_dir: Path | None) -> None:
    """Receive, account for and keep the records of all sites.

    \b
    Start:
      farshore-hub init --address https://hub.example.org:8443
      farshore-hub serve
      farshore-hub site add pump-station-7

    \b
    Exit codes:
      0   done
      1   a fault of the hub
      2   the command line is wrong
      3   hub.toml is not valid
      4   there is no hub here, or its database is not ready
      5   refused: what was given cannot be used
      6   there is no such thing, or there is one already
      7   busy, try again
      10  completeness --check: something is missing
      130 interrupted
    """


def main() -> None:
    """Run a command; every error ends as `error: …` and `what to do: …` with its exit code."""
    try:
        sys.exit(root.main(standalone_mode=False))
    except HubError as error:
        _fail(error)
    except ProtocolError as error:
        _fail(of_protocol(error))
    except (OperationalError, ProgrammingError) as error:
        _fail(NotReady(f"the database does not answer: {error.orig}", remedy="is it there, and is it the right one?"))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_EXIT_INTERRUPTED)


def _fail(error: HubError) -> NoReturn:
    click.echo(f"error: {error.detail}", err=True)
    if error.remedy:
        click.echo(f"what to do: {error.remedy}", err=True)
    sys.exit(error.exit_code)
