"""`farshore-hub broker`: what another MQTT broker needs to carry this hub's orders."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.broker.certificates import broker_chain
from farshore_hub.broker.mosquitto import access_list, settings
from farshore_hub.cli.options import as_json, data_dir, print_json
from farshore_hub.errors import Conflict
from farshore_hub.opening import open_hub
from farshore_protocol.topics import Topics
from farshore_shell.files import write_private
from farshore_shell.owner import as_caller

command = click.Group("broker", help="Prepare an MQTT broker of your own; the hub's own needs nothing of it.")


@command.command("prepare")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@as_json
@data_dir
def prepare(folder: Path, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Write what a broker needs into FOLDER: certificates, and settings and access rights for Mosquitto.

    Its certificate is good for a year by the calendar, and for sites and hub for as long as the hub's CA: they look at
    the CA and the name in it, not at the time. Give the folder to the broker's user, then name the broker in hub.toml:
    [broker] url = "mqtts://HOST:PORT".

    \b
    Examples:
      farshore-hub broker prepare /etc/mosquitto/farshore
      farshore-hub broker prepare ./for-the-broker --json

    \b
    Exit codes: 0 written, 6 there are such files in FOLDER already
    """
    where = folder.absolute()
    with open_hub(data_dir) as hub:
        topics = Topics(hub.keys.hub)
        files = {
            "broker.pem": broker_chain(hub.fleet),
            "ca.pem": hub.keys.trusted_pem,
            "access": access_list(topics).encode(),
            "mosquitto.conf": settings(where).encode(),
        }
    with as_caller():
        _write(folder, files)
    if as_json:
        print_json({name: str(where / name) for name in files})
    else:
        click.echo("\n".join(str(where / name) for name in files))


def _write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise Conflict(f"{folder} has {', '.join(there)} already", remedy="name another folder, or move them away")
    for name, content in files.items():
        write_private(folder / name, content)
