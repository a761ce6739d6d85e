"""`farshore-hub objectives`: what is met, and how much of the error budgets is gone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from farshore_hub.alerting import promises_of
from farshore_hub.cli.options import as_json, data_dir, print_json, print_table
from farshore_hub.opening import open_hub
from farshore_hub.watch.views import ObjectiveView, objective_view

EXIT_MISSED: Final = 10
_NUMBERS: Final = ("target", "met", "budget gone", "due", "late", "excused", "open hours")


@click.command("objectives")
@click.option("--check", is_flag=True, help="Exit with 10 if an error budget is gone.")
@as_json
@data_dir
def command(check: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Show where the objectives of hub.toml stand, and the sites that were late most.

    \b
    Examples:
      farshore-hub objectives
      farshore-hub objectives --check

    \b
    Exit codes: 0 shown, 10 --check and an error budget is gone
    """
    with open_hub(data_dir) as hub:
        found = [objective_view(each) for each in promises_of(hub).standings()]
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
    else:
        columns = ("objective", *_NUMBERS, "most was late at")
        print_table(columns, [_row(each) for each in found], numbers=_NUMBERS)
    if check and any(each.burned >= 1 for each in found):
        sys.exit(EXIT_MISSED)


def _row(of: ObjectiveView) -> list[object]:
    shares = [f"{100 * of.target:g} %", f"{100 * of.met:.4g} %", f"{100 * of.burned:.0f} %"]
    counts = [f"{count:,}" for count in (of.due, of.late, of.excused, of.open_hours)]
    return [of.name, *shares, *counts, ", ".join(f"{site} ({late:,})" for site, late in of.worst.items()) or "-"]
