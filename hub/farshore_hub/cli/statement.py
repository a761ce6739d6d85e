"""`farshore-hub statement`: signed statements of completeness."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from farshore_hub.audit.canonical import MAX_BYTES, key_id, verify
from farshore_hub.audit.statement import make_statement
from farshore_hub.cli.options import Time, as_json, data_dir, print_json, shown_time
from farshore_hub.errors import Invalid, NotAuthentic
from farshore_hub.keys.listing import known_signers
from farshore_hub.opening import open_hub
from farshore_shell.owner import as_caller

_BEGIN: Final = b"-----BEGIN PUBLIC KEY-----"
_REMEDY: Final = "farshore-hub statement key > hub.pem"

command = click.Group("statement", help="Write and verify signed statements of what is complete.")


@command.command("export")
@click.option("--site", required=True, help="Of which site.")
@click.option("--from", "since", type=Time(), required=True, help="What was stored from then, as in 2026-11-01T00:00Z.")
@click.option("--to", "until", type=Time(), required=True, help="Up to but without then.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@data_dir
def export(*, site: str, since: int, until: int, output: Path, data_dir: Path) -> None:
    """Write a statement about a site, signed with the hub's key.

    For each stream and incarnation: what is stored, pending and missing now, every loss with its cause, and what came
    in the period with a digest over its contents. Whoever has the hub's public key can verify it without a hub.

    \b
    Example:
      farshore-hub statement export --site pump-station-7 --from 2026-11-01T00:00Z --to 2026-12-01T00:00Z -o nov.json

    \b
    Exit codes: 0 written, 5 the period or the file is not one, 6 there is no such site
    """
    if until <= since:
        raise Invalid("the period ends before it begins", remedy="give --from the earlier time")
    with open_hub(data_dir) as hub:
        raw = make_statement(hub.fleet, site, since, until)
    try:
        with as_caller():
            output.write_bytes(raw)
    except OSError as error:
        raise Invalid(f"{output} cannot be written: {error.strerror}") from None
    click.echo(f"{output}: {len(raw):,} bytes")


@command.command("key")
@data_dir
def key(*, data_dir: Path) -> None:
    """Print the public keys that this hub has ever signed with, the one in use first, for those who verify.

    \b
    Example:
      farshore-hub statement key > hub.pem

    \b
    Exit codes: 0 printed
    """
    with open_hub(data_dir) as hub:
        found = [hub.keys.signing.public_key(), *known_signers(hub.keys)]
    for each in {key_id(public): public for public in found}.values():
        click.echo(each.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), nl=False)


@command.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", "hub_key", required=True, metavar="FILE", help="Public keys of the hub: farshore-hub statement key."
)
@as_json
def verify_command(*, file: Path, hub_key: str, as_json: bool) -> None:
    """Check that a hub has signed exactly this. Needs no hub on this machine, and no network.

    \b
    Example:
      farshore-hub statement verify nov.json --key hub.pem

    \b
    Exit codes: 0 it is genuine, 5 it is not, or it is no statement
    """
    with file.open("rb") as opened:
        raw = opened.read(MAX_BYTES + 1)
    statement, public = _verified(raw, _keys(Path(hub_key)))
    if as_json:
        print_json(statement)
        return
    click.echo(f"genuine: signed by the hub {statement['hub']} with the key {key_id(public)}")
    _show(statement)


def _verified(raw: bytes, keys: list[Ed25519PublicKey]) -> tuple[dict[str, Any], Ed25519PublicKey]:
    """The statement, and the one of the keys that it was signed with."""
    for public in keys[:-1]:
        with suppress(NotAuthentic):
            return verify(raw, public), public
    return verify(raw, keys[-1]), keys[-1]


def _keys(path: Path) -> list[Ed25519PublicKey]:
    """The public keys in a file, at least one."""
    try:
        blocks = path.read_bytes().split(_BEGIN)[1:] or [b""]
        found = [load_pem_public_key(_BEGIN + each) for each in blocks]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"{path} is not a public key: {error}", remedy=_REMEDY) from None
    keys = [each for each in found if isinstance(each, Ed25519PublicKey)]
    if len(keys) < len(found):
        raise Invalid(f"{path} is a key of another kind", remedy=_REMEDY)
    return keys


def _show(statement: dict[str, Any]) -> None:
    period = statement["period"]
    click.echo(f"site {statement['site']}, stored {shown_time(period['from_us'])} to {shown_time(period['to_us'])} UTC")
    for each in statement["streams"]:
        counts = ", ".join(f"{count:,} {name}" for name, count in each["counts"].items())
        click.echo(f"{each['stream']} ({each['incarnation']}): {counts}; {each['received']['records']:,} came then")
