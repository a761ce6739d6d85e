"""`farshore-agent export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json, shown_bytes
from farshore_agent.errors import AgentError
from farshore_shell.files import write_as_caller

if TYPE_CHECKING:
    from farshore_agent.settings.layers import LocalFile

_LARGEST: Final = 2**60


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--max-bytes", default="1 GiB", show_default=True, help="Of all files together, such as '64 MiB'.")
@options.config
@options.as_json
def command(file: Path, config: Path | None, max_bytes: str, *, as_json: bool) -> None:
    """Write what waits to be delivered into FILE, and FILE.2, FILE.3 and so on where one does not hold it all.

    Nothing leaves the buffer by this: that takes the hub's answer, see import-ack. The files are sealed and signed, so
    whoever carries them need not be trusted. At the hub: farshore-hub import FILE.

    \b
    Examples:
      farshore-agent export /media/stick/ship-1.parcel
      farshore-agent export --max-bytes '64 MiB' ship-1.parcel

    Exit codes: 0 written, 1 a file could not be written, 4 the site is not enrolled.
    """
    import asyncio

    limit = _bytes(max_bytes)
    written = asyncio.run(_export(options.open_file(config), file, limit))
    if as_json:
        print_json([{"file": str(path), "bytes": size, "batches": batches} for path, size, batches in written])
    else:
        for path, size, batches in written:
            click.echo(f"{path}: {batches} batch(es), {shown_bytes(size)}")


def _bytes(text: str) -> int:
    from farshore_agent.settings.units import size

    try:
        return int(size(1, _LARGEST).parse(int(text) if text.isdecimal() else text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-bytes") from None


async def _export(local: LocalFile, file: Path, max_bytes: int) -> list[tuple[Path, int, int]]:
    from farshore_agent.cli.desk import desk

    written = []
    async with desk(local) as agent:
        for number, batches in enumerate(await agent.plan_export(max_bytes), start=1):
            path = file if number == 1 else file.with_name(f"{file.name}.{number}")
            parcel = await agent.export(batches)
            _write(path, parcel)
            written.append((path, len(parcel), len(batches)))
    return written


def _write(path: Path, content: bytes) -> None:
    try:
        write_as_caller(path, content)
    except OSError as error:
        remedy = "is there room, and may you write there?"
        raise AgentError(f"{path} cannot be written: {error.strerror}", remedy=remedy) from None
