"""`farshore-agent doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_agent.cli import options

if TYPE_CHECKING:
    from farshore_agent.settings.layers import LocalFile
    from farshore_shell.findings import Report


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
@click.option("--repair", is_flag=True, help="Repair the buffer; everything that is done is told.")
@options.config
@options.as_json
def command(config: Path | None, *, offline: bool, repair: bool, as_json: bool) -> None:
    """Look at everything: settings, identity, state folder, every record in the buffer, clock, the way to the hub.

    It only reads, and may be used while the agent runs. With --repair what is damaged is set aside, what can be read is
    kept, and what is lost gets receipts; nothing is deleted. docs/how-to/repair.md explains every finding.

    \b
    Examples:
      farshore-agent doctor
      farshore-agent doctor --offline --json | jq .verdict
      farshore-agent doctor --repair

    Exit codes: 0 healthy, 20 there is something to do, 21 something was lost, 3 the settings are not valid.
    """
    import asyncio

    from farshore_shell.findings import show

    report = asyncio.run(_examine(options.open_file(config), offline=offline, repair=repair, quiet=as_json))
    show(report, as_json=as_json)
    raise SystemExit(report.exit_code)


async def _examine(local: LocalFile, *, offline: bool, repair: bool, quiet: bool) -> Report:
    from farshore_agent.app import BUFFER, IDENTITY
    from farshore_agent.cli.desk import desk, running
    from farshore_agent.doctor.examine import examine, repairs_done
    from farshore_agent.orders.force import peek
    from farshore_shell.findings import progress
    from farshore_shell.system import SystemClock

    settings = peek(local).settings
    daemon = await running(settings)
    link = (await daemon.status())["link"] if daemon else None
    if daemon:
        await daemon.close()
    report = await examine(
        settings,
        buffer=settings.state_dir / BUFFER,
        identity_dir=settings.state_dir / IDENTITY,
        link=link,
        is_live=daemon is not None,
        offline=offline,
        clock=SystemClock(),
        tell=progress("buffer", quiet=quiet),
    )
    if repair and (settings.state_dir / BUFFER).exists():
        async with desk(local) as open_desk:
            found = await open_desk.repair()
            after = (await open_desk.status())["buffer"]
        repairs_done(report, found, after)
    return report
