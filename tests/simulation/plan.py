"""What a seed is about: how many sites, which settings, and a few kinds of trouble. Follows from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from farshore_agent.settings import AgentSettings
from farshore_agent.settings.layers import Tables
from farshore_agent.settings.load import check, tables_of
from tests.simulation.hub import Archive

KIB: Final = 1024

MENU: Final = {
    "agent dies": 8,
    "agent stops": 3,
    "hub dies": 8,
    "bad weather": 8,
    "partition": 6,
    "agent's disk full": 4,
    "agent's disk errors": 4,
    "hub's disk full": 4,
    "hub's disk errors": 4,
    "clock jumps": 4,
    "clock drifts": 2,
    "agent restored": 6,
    "agent's disk lost": 2,
    "agent cloned": 4,
    "snapshot resumed twice": 3,
    "hub restored": 7,
    "months offline": 2,
    "buffer full": 2,
    "short retention": 2,
    "short age": 2,
    "never restored": 3,
}
"""Kinds of trouble and how often a seed has them. The last four are settings, and trouble where they meet others."""

_ORDERS: Final = (0, 0, 0, 6)
"""Orders cost more than records: a quarter of the seeds has some."""

OTHER_KEYS: Final = ("keys rotated", "months offline", "hub restored", "agent restored")
"""The hub has other keys while sites are away, and goes back to a backup; its keys come from theirs."""

OLD_BACKUPS: Final = ("short retention", "hub restored", "agent dies", "agent stops")
"""The hub goes back to before what its sites still keep, and lives of agents have ended meanwhile."""

_SETTINGS: Final = """
state_dir = "state"
[stream_defaults]
max_age = "36500 d"
[streams.alarms]
priority = 9
[streams.meter]
when_full = "{meter}"
max_age = "{max_age}"
[streams.log]
priority = 1
when_full = "evict"
order = "newest"
effort = "fast"
[buffer]
retain_acknowledged = "{retain}"
[seal]
linger = "{linger}"
linger_offline = "10 min"
max_records = 40
max_bytes = 65536
[forward]
max_parcel_bytes = {parcel}
"""


@dataclass(frozen=True)
class Plan:
    """The seed's plan.

    Attributes:
        kinds: what can happen.
        events: how often something does.
        buffer_bytes: 0 leaves the default.
        blob_bytes: what each record carries besides its name.
        gap_s, nap_s, pace_s: between two events, two looks of an agent's loops, two appends; on average.
        tables: what the settings were read from; the hub's settings go over them. None: the agent has no file, because
            its buffer is smaller than a file may say.
        forgets: agents give up acknowledged batches although the hub may be restored.
        orders: how many orders the hub's operator gives.
    """

    kinds: tuple[str, ...]
    sites: int
    events: int
    gap_s: float
    nap_s: float
    pace_s: float
    archive: Archive
    buffer_bytes: int
    blob_bytes: int
    garbage: float
    settings: AgentSettings
    tables: Tables | None
    forgets: bool
    orders: int


def plan_for(seed: int, folder: Path, always: Sequence[str] = ()) -> Plan:
    """The plan of a seed; it has the kinds `always` in any case."""
    rng = random.Random(f"plan {seed}")
    kinds: dict[str, None] = dict.fromkeys(always)
    while len(kinds) < rng.randint(3, 6):
        kinds[rng.choices(list(MENU), weights=list(MENU.values()))[0]] = None
    if "never restored" in kinds:
        kinds.pop("never restored" if "hub restored" in always else "hub restored", None)
    full, short = "buffer full" in kinds, "short retention" in kinds
    text = _SETTINGS.format(
        meter=rng.choice(["evict", "thin", "refuse"]) if full else "refuse",
        max_age="1 h" if "short age" in kinds else "36500 d",
        retain="5 min" if short else "3650 d",
        linger=rng.choice(["0 s", "5 s", "60 s"]),
        parcel=rng.choice([64 * KIB, 4096 * KIB]),
    )
    tables = tables_of(text, "settings")
    settings = check(tables, folder=folder)
    buffer_bytes = rng.choice([256, 384]) * KIB if full else 0
    if buffer_bytes:
        # Smaller than a settings file may say: the same rules, met sooner.
        small = replace(settings.buffer, max_bytes=buffer_bytes, max_commit_bytes=64 * KIB)
        seal = replace(settings.seal, max_bytes=32 * KIB)
        settings = replace(settings, buffer=small, seal=seal)
    return Plan(
        kinds=tuple(kinds),
        sites=rng.choice([1, 1, 2]),
        events=rng.randint(6, 12),
        gap_s=(gap_s := rng.choice([30.0, 120.0, 400.0])),
        nap_s=(nap_s := gap_s / rng.choice([1, 2, 3])),
        pace_s=nap_s / 3 if full else nap_s,
        archive="stored" if "never restored" in kinds else "never",
        buffer_bytes=buffer_bytes,
        blob_bytes=rng.choice([3000, 6000]) if full else rng.choice([0, 0, 30]),
        garbage=rng.choice([0.0, 0.0, 0.1]),
        settings=settings,
        tables=None if full else tables,
        forgets=full or short or bool(kinds.keys() & {"clock jumps", "months offline", "agent's disk full"}),
        orders=random.Random(f"orders {seed}").choice(_ORDERS),
    )
