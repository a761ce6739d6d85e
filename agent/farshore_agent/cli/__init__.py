"""The command `farshore-agent`. Each command is in its own module and loads nothing before it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from farshore_agent.cli.output import print_error
from farshore_agent.errors import AgentError, ExitCode
from farshore_protocol import __version__
from farshore_protocol.errors import ProtocolError

_COMMANDS: Final = {
    "enrol": ("enrol", "Join a hub with a token."),
    "run": ("run", "Collect and deliver."),
    "status": ("status", "Show what is here, what is delivered and how the link stands."),
    "check": ("check", "Check the settings file."),
    "schema": ("schema", "Print the settings file's JSON Schema."),
    "append": ("append", "Store records from the standard input."),
    "export": ("export", "Write what waits into files, to be carried to the hub."),
    "import-ack": ("import_ack", "Read the hub's answer to an exported file."),
}
"""Command to its module in this package, which has a `command`, and what it does."""

_EXIT_INTERRUPTED: Final = 130


class _Commands(click.Group):
    """Imports a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"farshore_agent.cli.{_COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="farshore-agent", message="%(prog)s %(version)s")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="FARSHORE_CONFIG",
    help="The settings file.  [default: $FARSHORE_CONFIG, ./farshore-agent.toml or /etc/farshore/agent.toml]",
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
      130 interrupted
    """


def main() -> None:
    """Run a command; every error ends as `error: …` and `what to do: …` with its exit code."""
    try:
        sys.exit(root.main(standalone_mode=False))
    except AgentError as error:
        print_error(str(error), error.remedy)
        sys.exit(error.exit_code)
    except ProtocolError as error:
        print_error(str(error), "check where the file comes from")
        sys.exit(ExitCode.HUB)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more at its exit.
        sys.stderr.close()
        sys.exit(ExitCode.OURS)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_EXIT_INTERRUPTED)
