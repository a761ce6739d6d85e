"""`python -m farshore_build`."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from farshore_build.deb import make_deb
from farshore_build.products import AGENT, ARCHITECTURES, HUB, PRODUCTS, ROOT
from farshore_build.pyz import make_pyz
from farshore_build.stamp import Stamp

_OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "dist", help="Folder to write into."
)
_SIDE = click.argument("side", type=click.Choice(list(PRODUCTS)))


def this_architecture() -> str:
    """Debian's name of this machine's."""
    asked = ["dpkg", "--print-architecture"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@click.group()
def main() -> None:
    """Make what is installed."""


@main.command("deb")
@_SIDE
@click.option("--architecture", type=click.Choice(list(ARCHITECTURES)), default=this_architecture)
@click.option("--python", default=HUB.pythons[0], show_default=True, help="Of the system that the hub is for.")
@_OUTPUT
def deb(side: str, architecture: str, python: str, output: Path) -> None:
    """Make a Debian package."""
    product = PRODUCTS[side]
    if product is HUB:
        product = replace(product, pythons=(python,))
    with tempfile.TemporaryDirectory() as work:
        click.echo(make_deb(product, architecture, Stamp.of_this_tree(), Path(work), output))


@main.command("pyz")
@click.option("--architecture", type=click.Choice(list(ARCHITECTURES)), default=this_architecture)
@_OUTPUT
def pyz(architecture: str, output: Path) -> None:
    """Make the agent in one file. The hub starts programs of its packages, and has no such file."""
    with tempfile.TemporaryDirectory() as work:
        click.echo(make_pyz(AGENT, architecture, Stamp.of_this_tree(), Path(work), output))


if __name__ == "__main__":
    main()
