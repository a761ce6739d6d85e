"""`farshore-hub serve`: runs the hub."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import click
import uvloop

from farshore_hub.app import run_hub
from farshore_hub.cli.options import data_dir
from farshore_hub.opening import OpenedHub, open_hub
from farshore_shell.owner import stay_owner
from farshore_shell.supervisor import Supervisor
from farshore_shell.system import allow_many_files, write_for_us_only


@click.command("serve")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.  [default: hub.toml]")
@click.option("--no-tls", is_flag=True, help="Plain HTTP, on loopback only, for a proxy on this machine.")
@data_dir
def command(listen: str | None, no_tls: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Run the hub until SIGTERM or Ctrl-C.

    Prints the address once connections are accepted. Without TLS sites cannot sign in with their certificates here.
    Under systemd it says when it is ready, gives signs of life and says when it stops (Type=notify, WatchdogSec=).

    \b
    Examples:
      farshore-hub serve
      farshore-hub serve --listen 127.0.0.1:0

    \b
    Exit codes: 0 stopped, 3 hub.toml is not valid, 4 there is no hub, its database is too old, or the port is taken
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stay_owner()
    allow_many_files()
    write_for_us_only()
    if no_tls:
        click.echo("warning: plain HTTP; sites cannot sign in, and tokens can be read on the way", err=True)
    with open_hub(data_dir) as hub, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(hub, listen, tls=not no_tls))


async def _until_signalled(hub: OpenedHub, listen: str | None, *, tls: bool) -> None:
    stop = asyncio.Event()
    supervisor = Supervisor.of_environment()

    def announce(address: str) -> None:
        click.echo(f"farshore-hub listens on {address}")
        supervisor.ready(f"listens on {address}")

    def end() -> None:
        supervisor.stopping()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    async with supervisor.alive():
        await run_hub(hub, listen, tls=tls, announce=announce, stop=stop)
