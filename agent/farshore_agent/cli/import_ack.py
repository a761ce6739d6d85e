"""`farshore-agent import-ack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_protocol.limits import MAX_ANSWER_BYTES
from farshore_shell.owner import as_caller

if TYPE_CHECKING:
    from farshore_agent.buffer import Settled
    from farshore_agent.settings.layers import LocalFile


@click.command("import-ack")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.config
@options.as_json
def command(files: tuple[Path, ...], config: Path | None, *, as_json: bool) -> None:
    """Read the hub's answers to exported files, as 'farshore-hub import' has written them.

    \b
    Example:
      farshore-agent import-ack /media/stick/ship-1.parcel.ack

    Exit codes: 0 read, 4 the site is not enrolled, 5 not an answer of this site's hub.
    """
    import asyncio

    settled = asyncio.run(_import(options.open_file(config), files))
    if as_json:
        print_json([{"file": str(path), **_facts(each)} for path, each in zip(files, settled, strict=True)])
    else:
        for path, each in zip(files, settled, strict=True):
            click.echo(f"{path}: {_shown(each)}")


async def _import(local: LocalFile, files: tuple[Path, ...]) -> list[Settled]:
    from farshore_agent.cli.desk import desk

    async with desk(local) as agent:
        return [await agent.import_answer(_read(path)) for path in files]


def _read(path: Path) -> bytes:
    with as_caller(), path.open("rb") as file:
        return file.read(MAX_ANSWER_BYTES + 1)


def _facts(settled: Settled) -> dict[str, object]:
    return {
        "ignored": settled.ignored,
        "acknowledged_batches": settled.acknowledged_batches,
        "acknowledged_records": settled.acknowledged_records,
        "returned_batches": settled.returned_batches,
        "refused": settled.refused,
    }


def _shown(settled: Settled) -> str:
    if settled.ignored and not settled.acknowledged_batches:
        return f"not applied: {settled.ignored}"
    text = f"the hub has {settled.acknowledged_records} more record(s) in {settled.acknowledged_batches} batch(es)"
    return f"{text}; it did not take {settled.refused}" if settled.refused else text
