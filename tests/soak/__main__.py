"""`make soak-kills`."""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click

from tests.acceptance.figures import table
from tests.postgres import private_cluster
from tests.soak.run import run

EXIT_WRONG: Final = 1


@click.command()
@click.option("--kills", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--sites", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seed", type=int, help="The plan of an earlier run.  [default: a new one]")
@click.option("--store", type=click.Choice(["sqlite", "postgres"]), default="sqlite", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def main(kills: int, sites: int, seed: int | None, store: str, as_json: bool) -> None:
    """Kill agents and hub again and again under load, and count every record.

    The installed commands run on this machine: some sites and one hub. Records arrive at HTTP doors, in drop folders
    and in growing log files. Agents, the hub, or both are killed with SIGKILL at random moments, also while they start,
    or stopped for a time with SIGSTOP. Every few hundred kills all that was acknowledged must be stored once, by
    content, and the accounts must balance. The seed gives the plan of all strikes again; how far each process has got
    by then is the machine's own chance.

    Exit codes: 0 all is there, once; 1 it is not, or a process ended by itself or did not come up: the state is kept
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    # Short, because a unix socket's path has to be.
    folder = Path(tempfile.mkdtemp(prefix="fs-"))
    tell = partial(click.echo, err=True)
    tell(f"{kills} kills, random moments from seed {seed}, state in {folder}")
    with _database(store) as url:
        report = run(folder, kills, seed, sites=sites, url=url, tell=tell)
    click.echo(json.dumps(report) if as_json else table(report))
    if report["faults"]:
        tell(f"kept for inspection: {folder}")
        sys.exit(EXIT_WRONG)
    shutil.rmtree(folder)


@contextmanager
def _database(store: str) -> Iterator[str]:
    if store == "sqlite":
        yield ""
        return
    with private_cluster() as cluster, cluster.database() as url:
        yield url


if __name__ == "__main__":
    main()
