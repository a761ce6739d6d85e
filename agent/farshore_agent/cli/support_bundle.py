"""`farshore-agent support-bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_agent.cli import options

if TYPE_CHECKING:
    from farshore_agent.settings.layers import LocalFile


@click.command("support-bundle")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.config
def command(file: Path, config: Path | None) -> None:
    """Write a ZIP FILE with what helps to find out what is wrong; with the agent running or not.

    It has the status, the settings in force without secrets, the last lines of the log if the agent runs, what the
    doctor finds at a glance, and versions. No records, no keys. A hub can ask for the same.

    \b
    Example:
      farshore-agent support-bundle site.zip

    Exit codes: 0 written, 1 the state folder cannot be used, 3 the settings are not valid.
    """
    import asyncio

    from farshore_agent.errors import AgentError
    from farshore_shell.files import open_private

    try:
        # Before a command that root calls becomes the owner of the state folder.
        out = open_private(file)
    except OSError as error:
        raise AgentError(f"{file} cannot be written: {error.strerror}", remedy="name another file") from None
    with out:
        made = asyncio.run(_make(options.open_file(config)))
        out.write(made)
    click.echo(f"written: {file} ({len(made)} bytes); look into it before you hand it on")


async def _make(local: LocalFile) -> bytes:
    from farshore_agent.cli.desk import desk

    async with desk(local) as open_desk:
        return await open_desk.support_bundle()
