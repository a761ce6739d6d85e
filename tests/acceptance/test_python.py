"""The Python door: a program that holds the agent is killed at random moments, and what it was told is true."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.acceptance import program
from tests.acceptance.commands import Daemon, until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.records import Record, Supply, canonical
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS, Site

KILLS: Final = 4


def test_a_program_that_holds_the_agent_and_is_killed_loses_and_doubles_nothing(
    hub: Hub, sites: MakeSite, chance: random.Random
) -> None:
    site = sites(hub, started=False)
    for number in range(KILLS):
        _run_until_killed(site, f"{site.name}-{number}", chance)
    site.start()
    assert_settled(hub, site)


def _run_until_killed(site: Site, prefix: str, chance: random.Random) -> None:
    log = site.folder / f"{prefix}.ndjson"
    holder = Daemon(sys.executable, program.__file__, site.settings, prefix, log=log)
    holder.start()
    try:

        def has_begun() -> bool:
            holder.check()
            return bool(_told(log))

        until("the program has appended something", has_begun)
        # Not a wait for something: the moment of the kill is what is random.
        time.sleep(chance.uniform(0, 0.5))
    finally:
        holder.kill()
    told = _told(log)
    given = Supply(prefix).readings(len(told) + 2 * program.PORTION)
    assert told == given[: len(told)]
    site.acknowledged[READINGS] += Counter(map(canonical, told))
    # What was being appended, or was appended and not printed yet.
    site.maybe[READINGS] += Counter(map(canonical, given[len(told) :]))


def _told(log: Path) -> list[Record]:
    """The acknowledged records, as far as whole lines of them are there."""
    lines = log.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith(b"{")]
