"""The command `farshore-agent`. Each command is in its own module and loads nothing before it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from farshore_agent.errors import AgentError, ExitCode
from farshore_protocol.errors import ProtocolError
from farshore_shell.build import described
from farshore_shell.commands import CommandModules, fail
from farshore_shell.commands import run as run_program  # `run` is a module of this package, once it is loaded

_COMMANDS: Final = {
    "enrol": ("enrol", "Join a hub with a token."),
    "run": ("run", "Collect and deliver."),
    "status": ("status", "Show what is here, what is delivered and how the link stands."),
    "doctor": ("doctor", "Look at everything, say what is wrong and what to do, and repair."),
    "check": ("check", "Check the settings file."),
    "tables": ("tables", "Look at the captured tables of the site's applications, and release them."),
    "settings": ("settings", "Show the settings that are in force, and where each comes from."),
    "support-bundle": ("support_bundle", "Write a file with what helps to find out what is wrong."),
    "schema": ("schema", "Print the settings file's JSON Schema."),
    "append": ("append", "Store records from the standard input."),
    "resend": ("resend", "Send once more what the hub has, as far as it is still kept."),
    "export": ("export", "Write what waits into files, to be carried to the hub."),
    "import-ack": ("import_ack", "Read the hub's answer to an exported file."),
}
"""Command to its module in this package, which has a `command`, and what it does."""


@click.group(
    cls=CommandModules,
    package=__name__,
    modules=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(described(), prog_name="farshore-agent", message="%(prog)s %(version)s")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="FARSHORE_CONFIG",
    help="The settings file.  [default: $FARSHORE_CONFIG, ./farshore-agent.toml or /etc/farshore-agent/agent.toml]",
)
def root(config: Path | None) -> None:
    """Keep a site's records safe and deliver them to the hub.

    \b
    Start:
      farshore-agent check
      farshore-agent enrol TOKEN
      farshore-agent run

    \b
    Exit codes:
      0   done
      1   a fault of the agent or of the machine
      2   the command line is wrong
      3   the settings are not valid
      4   the site is not enrolled
      5   the hub refused, or could not be reached
      6   the buffer is full
      7   some records were refused; they are in quarantine
      20  doctor: there is something to do
      21  doctor: something was lost
      130 interrupted
    """


def main() -> None:
    """Run a command; every error ends as `error: …` and `what to do: …` with its exit code."""
    try:
        run_program(root)
    except AgentError as error:
        fail(str(error), error.remedy, error.exit_code)
    except ProtocolError as error:
        fail(str(error), "check where the file comes from", ExitCode.HUB)
