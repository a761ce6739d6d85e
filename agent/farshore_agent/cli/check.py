"""`farshore-agent check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_agent.errors import ExitCode, Problem, SettingsError

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings
    from farshore_agent.settings.layers import LocalFile


@click.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@options.config
@options.as_json
def command(file: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Check the settings file whole, without starting anything. FILE is the one that --config would name.

    Where the hub's settings are in force over it, it says whether they still fit; if not, the next start goes on
    without them.

    \b
    Examples:
      farshore-agent check
      farshore-agent check new.toml --json

    Exit codes: 0 valid, 3 not valid; all problems are shown.
    """
    try:
        local = options.load_file(file or config)
    except SettingsError as error:
        if not as_json:
            raise
        print_json({"valid": False, "source": error.source, "problems": [_problem(each) for each in error.problems]})
        raise SystemExit(ExitCode.CONFIGURATION) from None
    found = {**_summary(local.settings), **_of_the_hub(local)}
    if as_json:
        print_json({"valid": True, **found})
    else:
        click.echo(f"valid: {local.source}")
        for key, value in found.items():
            click.echo(f"  {key}: {', '.join(value) or 'none' if isinstance(value, list) else value}")


def _problem(problem: Problem) -> dict[str, str]:
    return {"key": problem.key, "why": problem.why, "remedy": problem.remedy}


def _of_the_hub(local: LocalFile) -> dict[str, Any]:
    """How the hub's settings go with this file, if there are any and this user may look."""
    from farshore_agent.orders.force import effective, problems_of
    from farshore_agent.orders.state import load

    pushed = load(local.settings.state_dir).running
    if pushed is None:
        return {}
    try:
        effective(local, pushed)
    except SettingsError as error:
        return {"the hub's settings do not fit": problems_of(error)}
    return {"hub": f"its settings of revision {pushed.revision} fit over it"}


def _summary(settings: AgentSettings) -> dict[str, Any]:
    return {
        "state_dir": str(settings.state_dir),
        "inputs": [f"{name} ({each.type})" for name, each in settings.inputs.items()],
        "streams": list(settings.streams),
        "tables": [f"{name} ({each.database})" for name, each in settings.tables.items()],
    }
