"""`farshore-agent export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json, shown_bytes
from farshore_agent.errors import AgentError

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings

MIB: Final = 1024 * 1024


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--max-mib", type=click.IntRange(min=1), default=1024, show_default=True, help="Of all files together.")
@options.config
@options.as_json
def command(file: Path, config: Path | None, max_mib: int, *, as_json: bool) -> None:
    """Write what waits to be delivered into FILE, and FILE.2, FILE.3 and so on where one does not hold it all.

    Nothing leaves the buffer by this: that takes the hub's answer, see import-ack. The files are sealed and signed; what
    carries them need not be trusted. At the hub: farshore-hub import FILE.

    \b
    Examples:
      farshore-agent export /media/stick/ship-1.parcel
      farshore-agent export --max-mib 64 ship-1.parcel

    Exit codes: 0 written, 1 a file could not be written, 4 the site is not enrolled.
    """
    import asyncio

    written = asyncio.run(_export(options.load_settings(config), file, max_mib * MIB))
    if as_json:
        print_json([{"file": str(path), "bytes": size, "batches": batches} for path, size, batches in written])
    else:
        for path, size, batches in written:
            click.echo(f"{path}: {batches} batch(es), {shown_bytes(size)}")


async def _export(settings: AgentSettings, file: Path, max_bytes: int) -> list[tuple[Path, int, int]]:
    from farshore_agent.cli.desk import desk

    written = []
    async with desk(settings) as agent:
        for number, batches in enumerate(await agent.plan_export(max_bytes), start=1):
            path = file if number == 1 else file.with_name(f"{file.name}.{number}")
            parcel = await agent.export(batches)
            _write(path, parcel)
            written.append((path, len(parcel), len(batches)))
    return written


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also on a stick that is pulled out."""
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise AgentError(
            f"{path} cannot be written: {error.strerror}", remedy="is there room, and may you write there?"
        )
