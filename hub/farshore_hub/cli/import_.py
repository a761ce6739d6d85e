"""`farshore-hub import`: takes parcels that came as files."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import click

from farshore_hub.app import opened_receiver
from farshore_hub.cli.options import data_dir
from farshore_hub.errors import HubError, Invalid, OverLimit
from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.receive.opener import BatchOpener
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_shell.files import write_as_caller
from farshore_shell.owner import as_caller

ACK_SUFFIX = ".ack"


@click.command("import")
@click.argument("parcels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--ack", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the one parcel's answer.")
@data_dir
def command(parcels: tuple[Path, ...], ack: Path | None, data_dir: Path) -> None:
    """Take parcels that came as files, written by 'farshore-agent export'.

    The answer to each is written beside it as PARCEL.ack, to be carried back: farshore-agent import-ack FILE. The same
    parcel may be imported again, and while the hub is serving.

    \b
    Examples:
      farshore-hub import /media/stick/*.parcel
      farshore-hub import pump-7.parcel --ack pump-7.ack

    \b
    Exit codes: 0 all taken, 5 one is not a parcel of a site of this hub (those before it are taken)
    """
    if ack is not None and len(parcels) > 1:
        raise click.UsageError("--ack is for one parcel; without it every parcel gets its own PARCEL.ack")
    with open_hub(data_dir) as hub:
        asyncio.run(_import(hub, [(path, ack or path.with_name(path.name + ACK_SUFFIX)) for path in parcels]))


async def _import(hub: OpenedHub, files: Sequence[tuple[Path, Path]]) -> None:
    with opened_receiver(hub, BatchOpener(hub.engine, hub.keys)) as receiver:
        for path, ack in files:
            before = receiver.tally.records
            _write(ack, await receiver.receive(_read(path), None))
            click.echo(f"{path}: {receiver.tally.records - before} new records; answer in {ack}")


def _write(path: Path, answer: bytes) -> None:
    try:
        write_as_caller(path, answer)
    except OSError as error:
        raise HubError(
            f"the parcel is taken, but its answer cannot be written to {path}: {error.strerror}",
            remedy="import it again with --ack FILE; nothing is stored twice",
        ) from None


def _read(path: Path) -> bytes:
    """A parcel's bytes. What is opened is looked at, not the path: a stick's file may be replaced in between."""
    try:
        # Opening a pipe would wait for whoever writes into it.
        with as_caller(), open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Invalid(f"{path} is a device or a pipe, not a file", remedy="copy the parcel into a file first")
            raw = file.read(MAX_PARCEL_BYTES + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_PARCEL_BYTES:
        raise OverLimit(f"{path} has more than the {MAX_PARCEL_BYTES} bytes of a parcel: is it one?")
    return raw
