"""`farshore-agent resend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_protocol.names import BadName, check_any_stream

if TYPE_CHECKING:
    from farshore_agent.settings.layers import LocalFile


@click.command("resend")
@click.argument("stream", required=False)
@options.config
@options.as_json
def command(stream: str | None, config: Path | None, *, as_json: bool) -> None:
    """Send once more what the hub has of STREAM, or of all streams, as far as it is still kept here.

    The hub knows by its content what it has, and stores nothing twice. It is what two machines need that went on from
    one snapshot, when their hub was restored from a backup after that: run it on both.

    \b
    Examples:
      farshore-agent resend
      farshore-agent resend boiler --json

    Exit codes: 0 it is on its way, or nothing is kept, 1 the state folder cannot be used.
    """
    import asyncio

    batches, records = asyncio.run(_resend(options.open_file(config), _checked(stream)))
    if as_json:
        print_json({"batches": batches, "records": records})
    else:
        click.echo(f"{batches} batch(es) with {records} record(s) are sent again")


def _checked(stream: str | None) -> str | None:
    try:
        return stream and check_any_stream(stream)
    except BadName as error:
        raise click.BadParameter(str(error), param_hint="STREAM") from None


async def _resend(local: LocalFile, stream: str | None) -> tuple[int, int]:
    from farshore_agent.cli.desk import desk

    async with desk(local) as agent:
        return await agent.resend(stream)
