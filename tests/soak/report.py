"""What is published of a run of kills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from tests.soak.kills import Soak


def summary(soak: Soak, faults: Sequence[str], *, seed: int, store: str, took_s: float) -> dict[str, Any]:
    """The figures of a run, as JSON has them."""
    hub, *agents = soak.victims
    return {
        "seed": seed,
        "store": store,
        "sites": len(agents),
        "kills": soak.kills,
        "kills_hub": hub.kills,
        "kills_agents": sum(agent.kills for agent in agents),
        "freezes": sum(victim.freezes for victim in soak.victims),
        "seconds": round(took_s),
        "seconds_under_fire": round(soak.struck_s),
        "kills_per_second": round(soak.kills / soak.struck_s, 2) if soak.struck_s else 0,
        "records_acknowledged": _total(site.acknowledged for site in soak.sites),
        "records_unanswered": _total(site.maybe for site in soak.sites),
        "hub_ready_s": _times(hub.starts_s),
        "agent_open_s": _times([each for agent in agents for each in agent.starts_s]),
        "faults": list(faults),
    }


def progress(soak: Soak, took_s: float) -> str:
    """One line while it runs."""
    each = ", ".join(f"{victim.name} {victim.kills}" for victim in soak.victims)
    taken = _total(site.acknowledged for site in soak.sites)
    return f"{took_s:5.0f} s: {soak.kills} kills ({each}), {taken} records acknowledged"


def _times(starts_s: Sequence[float]) -> dict[str, float]:
    """Of the starts that nobody disturbed."""
    if len(starts_s) < 2:
        return {}
    return {"median": round(median(starts_s), 2), "p95": round(quantiles(starts_s, n=20)[-1], 2)}


def _total(sites: Iterable[Mapping[str, Counter[str]]]) -> int:
    # Producers go on meanwhile: a copy, because a new stream may come in between.
    return sum(contents.total() for site in sites for contents in list(site.values()))
