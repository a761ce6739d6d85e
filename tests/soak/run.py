"""One whole run: a hub and sites are made, struck in rounds, counted after each, and ended."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.acceptance.hub import Hub
from tests.acceptance.site import Site
from tests.soak.kills import Soak
from tests.soak.report import progress, summary

_ROUND: Final = 250
"""Kills between two counts: what goes wrong is noticed while the logs are short."""

_TELL_EVERY_S: Final = 5.0


def run(
    folder: Path, kills: int, seed: int, *, sites: int, url: str = "", tell: Callable[[str], None] = print
) -> dict[str, Any]:
    """So many kills, or a few more; the figures, whose `faults` are empty when all is well.

    Args:
        folder: empty, with a short path; hub and sites have their state there, and leave it there.
        kills: how many at least.
        seed: the plan of all strikes is drawn from it.
        sites: how many.
        url: of the PostgreSQL database that the hub is to use.
        tell: is given a line every few seconds.
    """
    began = time.monotonic()
    hub = Hub(folder, database=url)
    made = [Site(f"site-{number}", folder / f"site-{number}", hub.port) for number in range(1, sites + 1)]
    soak = Soak(hub, made, random.Random(seed))
    faults: list[str] = []
    try:
        soak.begin()
        while soak.kills < kills and not faults:
            soak.strike_until(
                min(kills, soak.kills + _ROUND), _now_and_then(lambda: tell(progress(soak, _since(began))))
            )
            faults = soak.settle()
    except AssertionError as error:
        faults.append(str(error))
    finally:
        soak.close()
    store = "PostgreSQL" if url else "SQLite"
    return summary(soak, faults, seed=seed, store=store, took_s=_since(began))


def _since(began: float) -> float:
    return time.monotonic() - began


def _now_and_then(tell: Callable[[], None]) -> Callable[[], None]:
    """The same, at most every few seconds."""
    told = time.monotonic()

    def maybe() -> None:
        nonlocal told
        if _since(told) >= _TELL_EVERY_S:
            told = time.monotonic()
            tell()

    return maybe
