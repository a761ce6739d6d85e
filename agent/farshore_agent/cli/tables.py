"""`farshore-agent tables`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_agent.errors import AgentError, ExitCode
from farshore_shell.commands import fail

if TYPE_CHECKING:
    from farshore_agent.tables.examine import Examined

command = click.Group("tables", help="Look at the captured tables of the site's applications, and release them.")


@command.command("check")
@options.config
@options.as_json
def check(config: Path | None, *, as_json: bool) -> None:
    """Say what capturing each table of the settings would do to its database, and what is not possible.

    Only reads. All problems of all tables are shown.

    \b
    Examples:
      farshore-agent tables check
      farshore-agent tables check --json | jq '.[].problems'

    Exit codes: 0 every table can be captured, 3 not all of them.
    """
    from farshore_agent.tables.examine import examine

    settings = options.open_state(config)
    found = [examine(name, each) for name, each in settings.tables.items()]
    if as_json:
        print_json([each.document() for each in found])
    elif not found:
        click.echo('the settings name no tables: add [tables.NAME] with database = "…"')
    for each in [] if as_json else found:
        _show(each)
    if any(each.problems for each in found):
        raise SystemExit(ExitCode.CONFIGURATION)


def _show(found: Examined) -> None:
    click.echo(f"{found.name}: table {found.table} of {found.database}")
    for problem in found.problems:
        click.echo(f"  not possible: {problem}")
    for line in found.would:
        click.echo(f"  {line}")


@command.command("release")
@click.argument("name")
@options.config
def release(name: str, config: Path | None) -> None:
    """Capture the table NAME no more: remove log and triggers from the application's database, without a trace.

    What was captured stays in the buffer and is delivered. Take [tables.NAME] out of the settings first, and restart
    the agent; else it would begin anew.

    \b
    Example:
      farshore-agent tables release orders

    Exit codes: 0 released, 2 no such table was captured, 3 the settings still have it.
    """
    from farshore_agent.tables.examine import release as remove

    settings = options.open_state(config)
    if name in settings.tables:
        fail(
            f"the settings still have [tables.{name}]",
            "take it out, restart the agent, and run this again",
            ExitCode.CONFIGURATION,
        )
    try:
        database = remove(settings.state_dir, name)
    except AgentError as error:
        fail(str(error), error.remedy, error.exit_code)
    click.echo(f"released: {name}; nothing of Farshore's is left in {database}")
