"""`farshore-hub doctor`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir
from farshore_hub.doctor.examine import examine
from farshore_shell.findings import progress, show
from farshore_shell.system import SystemClock


@click.command("doctor")
@click.option("--repair", is_flag=True, help="Do the safe repairs; everything that is done is told.")
@as_json
@data_dir
def command(repair: bool, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Look at everything: settings, keys, port, database, every stored batch, the ledger, the lake, the sites.

    It only reads, and may be used while the hub runs. With --repair balances are counted anew, sites are asked again
    for records whose stored copy is damaged, and batches that could not be written into the lake are tried again;
    nothing is deleted. docs/how-to/repair.md explains every finding.

    \b
    Examples:
      farshore-hub doctor
      farshore-hub doctor --json | jq .verdict
      farshore-hub doctor --repair

    \b
    Exit codes: 0 healthy, 20 there is something to do, 21 something was lost, 3 hub.toml is not valid, 4 no hub here
    """
    report = examine(data_dir, repairs=repair, clock=SystemClock(), tell=progress("batches", quiet=as_json))
    show(report, as_json=as_json)
    sys.exit(report.exit_code)
