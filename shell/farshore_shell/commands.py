"""The frame of a command with subcommands: each in a module of its own, loaded when it is named; errors in one form."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from farshore_shell.texts import printable

EXIT_INTERRUPTED: Final = 130


class CommandModules(click.Group):
    """A group whose commands are modules, so that `site list` does not load what `query` needs.

    Args:
        package: where the modules are; each has a `command`.
        modules: by command, its module and what it does in one line.
    """

    def __init__(self, *args: Any, package: str, modules: Mapping[str, tuple[str, str]], **settings: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **settings)
        self._package = package
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The commands in the order of `modules`."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Load a command's module."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(f"{self._package}.{self._modules[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in self._modules.items()])


def print_error(text: str, remedy: str = "") -> None:
    """Say what went wrong and what to do about it, on standard error."""
    click.echo(f"error: {printable(text)}", err=True)
    if remedy:
        click.echo(f"what to do: {printable(remedy)}", err=True)


def fail(text: str, remedy: str, exit_code: int) -> NoReturn:
    """End with an error."""
    print_error(text, remedy)
    sys.exit(exit_code)


def run(command: click.Command) -> NoReturn:
    """Run a command as a program; what click and the terminal raise becomes an exit code.

    Errors of Farshore's own are the caller's to catch: each side has its own table of them.
    """
    try:
        sys.exit(command.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more at its exit.
        sys.stderr.close()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
