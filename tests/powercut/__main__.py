"""`make powercut`."""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import click

from tests.acceptance.figures import table
from tests.acceptance.hub import Hub
from tests.acceptance.proxy import Proxy
from tests.powercut.cuts import Finding, cut_again_and_again
from tests.powercut.guest import ROOT, GuestUnavailable
from tests.powercut.report import is_as_it_must_be, progress, summary
from tests.powercut.site import CONTROLS, joined

EXIT_WRONG: Final = 1
EXIT_UNAVAILABLE: Final = 4
_KERNELS: Final = ROOT / "build" / "kernel"


@click.command()
@click.option("--cuts", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--seed", type=int, help="The plan of an earlier run.  [default: a new one]")
@click.option(
    "--control", type=click.Choice(["", *CONTROLS]), default="", help=f"Something that has to lose: {CONTROLS}"
)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def main(cuts: int, seed: int | None, control: str, as_json: bool) -> None:
    """Cut the power of a virtual machine under load, again and again, and count every record.

    The installed agent runs in a virtual machine (QEMU without KVM) on Linux and ext4, on a disk with a write cache.
    Producers outside post real records to its HTTP door and note which are acknowledged. In the middle of a random
    write or flush the disk loses its power, and with it any part of what was not flushed; then QEMU is killed. The
    machine boots again from that disk, the agent opens its buffer and delivers to a hub, which has power all the time.
    The hub must then have every acknowledged record, once, and its account must balance.

    Exit codes: 0 all is there, once, or with --control: records were lost, as they must be; 1 otherwise, and the state
    is kept; 4 the virtual machine cannot be made here
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    # Short, because a unix socket's path has to be.
    folder = Path(tempfile.mkdtemp(prefix="fs-"))
    tell = partial(click.echo, err=True)
    tell(f"{cuts} power cuts, random moments from seed {seed}, state in {folder}")
    began = time.monotonic()
    try:
        findings = _cut(cuts, seed, control, folder)
    except GuestUnavailable as error:
        shutil.rmtree(folder)
        tell(f"error: {error}")
        sys.exit(EXIT_UNAVAILABLE)
    except AssertionError as error:
        tell(f"error: {error}\nkept for inspection: {folder}")
        sys.exit(EXIT_WRONG)
    report = summary(findings, seed=seed, control=control, took_s=time.monotonic() - began)
    click.echo(json.dumps(report) if as_json else table(report))
    if not is_as_it_must_be(report):
        tell(f"not as it must be; kept for inspection: {folder}")
        sys.exit(EXIT_WRONG)
    shutil.rmtree(folder)


def _cut(cuts: int, seed: int, control: str, folder: Path) -> list[Finding]:
    chance = random.Random(seed)
    findings = []
    with ExitStack() as stack:
        hub = Hub(folder)
        stack.callback(hub.kill)
        hub.start()
        link = stack.enter_context(Proxy(hub.port))
        site = joined("boxed", folder / "boxed", hub)
        site.box(_KERNELS, random.Random(chance.getrandbits(64)), control=control, hub_port=link.port)
        stack.callback(site.machine.close)
        for finding in cut_again_and_again(hub, site, link, chance, cuts):
            click.echo(progress(finding), err=True)
            findings.append(finding)
    return findings


if __name__ == "__main__":
    main()
