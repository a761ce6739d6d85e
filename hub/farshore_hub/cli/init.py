"""`farshore-hub init`: makes a hub."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, print_json
from farshore_hub.initialise import Stores, initialise
from farshore_hub.settings import ca_path
from farshore_shell.system import SystemClock, SystemRandom

DEFAULT_PORT = 8443


@click.command("init")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="https://HOST:PORT",
    help="Where sites reach the hub; may be given several times.  [default: this machine's name, port 8443]",
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: all interfaces, the address's port]")
@click.option("--database", "url", default="", help="URL of a PostgreSQL database.  [default: hub.db in the folder]")
@click.option("--lake", default="", metavar="s3://BUCKET/PREFIX", help="Where the lake is.  [default: in the folder]")
@click.option("--lake-endpoint", default="", metavar="https://HOST:PORT", help="Of its object store.  [default: AWS's]")
@as_json
@data_dir
def command(
    *,
    addresses: tuple[str, ...],
    listen: str | None,
    url: str,
    lake: str,
    lake_endpoint: str,
    as_json: bool,
    data_dir: Path,
) -> None:
    """Make a hub: its folder, keys, certificates, database and first API token.

    The folder holds everything that is secret: back it up, and let nobody else read it. The credentials of an object
    store are not among it: they stand in the environment of serve, or in the file that [lake] credentials_file names.

    \b
    Examples:
      farshore-hub init --address https://hub.example.org:8443
      farshore-hub init --data-dir /srv/hub --address https://10.0.0.5:8443 --address https://hub.example.org:8443

    \b
    Exit codes: 0 made, 3 an address is not one, 6 there is a hub in the folder already
    """
    named = list(addresses) or [f"https://{socket.gethostname().lower()}:{DEFAULT_PORT}"]
    token = initialise(data_dir, named, listen, Stores(url, lake, lake_endpoint), SystemClock(), SystemRandom())
    if as_json:
        print_json({"data_dir": str(data_dir), "addresses": named, "ca": str(ca_path(data_dir)), "token": token})
        return
    click.echo(f"made a hub in {data_dir} for {', '.join(named)}")
    click.echo(f"its CA certificate, for clients: {ca_path(data_dir)}")
    click.echo(f"admin token, shown only now: {token}")
    click.echo(f"next: farshore-hub serve --data-dir {data_dir}")
