"""Makes every operation of the disk fail, one after the other, in every way: `make diskfaults`."""

from __future__ import annotations

import logging
import sys
import time

import click

from tests.disk.faulty_life import VARIANTS, try_all


@click.command(help=__doc__)
@click.option("--stride", default=1, show_default=True, help="Only every so many.")
def main(stride: int) -> None:
    """Print what came of it, a line for each way to fail; 1 if anything was wrong."""
    logging.disable()
    is_well = True
    for fault, sticky in VARIANTS:
        began = time.monotonic()
        tried, wrong = try_all(fault, sticky=sticky, stride=stride)
        lasting = "from then on" if sticky else "once"
        click.echo(f"agent, {fault} {lasting}: at {tried} operations, {time.monotonic() - began:.0f} s, wrong: {wrong}")
        is_well = is_well and not wrong
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
