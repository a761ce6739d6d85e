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
from tests.acceptance.site import Site, Way
from tests.powercut.cuts import Finding, cut_again_and_again, cut_the_hub_again_and_again
from tests.powercut.guest import ROOT, GuestUnavailable
from tests.powercut.hub import BoxedHub
from tests.powercut.report import is_as_it_must_be, progress, summary
from tests.powercut.site import CONTROLS, joined

EXIT_WRONG: Final = 1
EXIT_UNAVAILABLE: Final = 4
_KERNELS: Final = ROOT / "build" / "kernel"
_PATIENT: Final = Way(forward='heartbeat = "1 s"\ntimeout = "60 s"\nbackoff_min = "50 ms"\nbackoff_max = "2 s"\n')
"""As a site is whose hub answers slowly."""


@click.command()
@click.option("--cuts", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--seed", type=int, help="The plan of an earlier run.  [default: a new one]")
@click.option("--side", type=click.Choice(["agent", "hub"]), default="agent", show_default=True, help="In the machine.")
@click.option(
    "--control", type=click.Choice(["", *CONTROLS]), default="", help=f"Something that has to lose: {CONTROLS}"
)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def main(cuts: int, seed: int | None, side: str, control: str, as_json: bool) -> None:
    """Cut the power of a virtual machine under load, again and again, and count every record.

    The installed agent runs in a virtual machine (QEMU without KVM) on Linux and ext4, on a disk with a write cache.
    Producers outside post real records to its HTTP door and note which are acknowledged. In the middle of a random
    write or flush the disk loses its power, and with it any part of what was not flushed; then QEMU is killed. The
    machine boots again from that disk, the agent opens its buffer and delivers to a hub, which has power all the time.
    The hub must then have every acknowledged record, once, and its account must balance.

    With --side hub the hub is in the machine and the site outside. It forgets at once what the hub has answered for.

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
        findings = (_cut_hub if side == "hub" else _cut)(cuts, seed, control, folder)
    except GuestUnavailable as error:
        shutil.rmtree(folder)
        tell(f"error: {error}")
        sys.exit(EXIT_UNAVAILABLE)
    except AssertionError as error:
        tell(f"error: {error}\nkept for inspection: {folder}")
        sys.exit(EXIT_WRONG)
    report = {"side": side} | summary(findings, seed=seed, control=control, took_s=time.monotonic() - began)
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


def _cut_hub(cuts: int, seed: int, control: str, folder: Path) -> list[Finding]:
    chance = random.Random(seed)
    findings = []
    with ExitStack() as stack:
        hub = BoxedHub(folder)
        stack.callback(hub.kill)
        hub.start()
        site = Site("outside", folder / "outside", hub.port, way=_PATIENT)
        site.join(hub)
        hub.stop()
        hub.box(_KERNELS, random.Random(chance.getrandbits(64)), control=control)
        stack.callback(hub.machine.close)
        stack.callback(site.kill)
        site.start()
        for finding in cut_the_hub_again_and_again(hub, site, chance, cuts):
            click.echo(progress(finding), err=True)
            findings.append(finding)
    return findings


if __name__ == "__main__":
    main()
