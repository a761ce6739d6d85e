"""Makes every operation of the disk fail, one after the other, in every way: `make diskfaults`."""

from __future__ import annotations

import itertools
import logging
import sys
import time

import click

from tests.disk.trying import SIDES, VARIANTS, try_all


@click.command(help=__doc__)
@click.option("--side", "sides", type=click.Choice(sorted(SIDES)), multiple=True, default=sorted(SIDES))
@click.option("--stride", default=1, show_default=True, help="Only every so many.")
def main(sides: tuple[str, ...], stride: int) -> None:
    """Print what came of it, a line for each way to fail; 1 if anything was wrong."""
    logging.disable()
    is_well = True
    for side, (fault, sticky) in itertools.product(sides, VARIANTS):
        began = time.monotonic()
        tried, wrong = try_all(side, fault, sticky=sticky, stride=stride)
        lasting = "from then on" if sticky else "once"
        took_s = time.monotonic() - began
        click.echo(f"{side}, {fault} {lasting}: at {tried} operations, {took_s:.0f} s, wrong: {wrong or 'nothing'}")
        is_well = is_well and not wrong
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
