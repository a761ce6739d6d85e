"""The group of all commands, and what their errors end with."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NoReturn

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from farshore_hub.cli.options import any_data_dir
from farshore_hub.errors import HubError, NotReady, of_protocol
from farshore_protocol.errors import ProtocolError
from farshore_shell.build import described
from farshore_shell.commands import CommandModules, fail, run

_COMMANDS: Final = {
    "init": ("init", "Make a hub."),
    "serve": ("serve", "Run it."),
    "site": ("site", "Add, list, show, label and revoke sites."),
    "fleet": ("fleet", "Show how the sites stand, the worst first."),
    "config": ("config", "Show, compare and apply the settings of all sites."),
    "rollout": ("rollout", "Watch, pause, resume and abort rollouts."),
    "command": ("command", "Have sites do something once, and see what they answer."),
    "secret": ("secret", "Set, list and delete secrets that settings name."),
    "token": ("token", "Make, list and revoke API tokens."),
    "completeness": ("completeness", "Show what is complete, and what is missing."),
    "losses": ("losses", "List what is not stored, and why."),
    "forks": ("forks", "List, show and export what two machines have sent as one site."),
    "statement": ("statement", "Write and verify signed statements of what is complete."),
    "alerts": ("alerts", "Show, acknowledge and silence alerts."),
    "maintenance": ("maintenance", "Declare maintenance of sites."),
    "ledger": ("ledger", "Make the ledger again from its facts, and compare."),
    "expectations": ("expectations", "Show what a site's streams promise, and what they make of it."),
    "objectives": ("objectives", "Show what is met, and how much of the error budgets is gone."),
    "tables": ("tables", "Show the merged tables, their conflicts, and what could not be merged."),
    "query": ("query", "Ask with SQL."),
    "export": ("export", "Write all records of a stream."),
    "import": ("import_", "Take parcels that came as files."),
    "audit": ("audit", "Re-read what is stored, and say what is not as the ledger says."),
    "broker": ("broker", "Prepare an MQTT broker of your own."),
    "doctor": ("doctor", "Look at everything, say what is wrong and what to do, and repair."),
    "keys": ("keys", "Show, replace, retire, back up and restore the hub's own keys."),
    "backup": ("backup", "Make, list, verify and restore backups."),
    "db": ("db", "Show or upgrade the database's version."),
}
"""Command to its module in this package, which has a `command`, and what it does."""


@click.group(
    cls=CommandModules,
    package="farshore_hub.cli",
    modules=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(described(), prog_name="farshore-hub", message="%(prog)s %(version)s")
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
      11  audit: something is not as the ledger says
      12  command: a site has not done it, or not answered in time
      20  doctor: there is something to do
      21  doctor: something was lost
      130 interrupted
    """


def main() -> None:
    """Run a command; every error ends as `error: …` and `what to do: …` with its exit code."""
    try:
        run(root)
    except HubError as error:
        _fail(error)
    except ProtocolError as error:
        _fail(of_protocol(error))
    except (OperationalError, ProgrammingError) as error:
        _fail(NotReady(f"the database does not answer: {error.orig}", remedy="is it there, and is it the right one?"))


def _fail(error: HubError) -> NoReturn:
    fail(error.detail, error.remedy, error.exit_code)
