"""What has to hold in the end, whatever was done.

Nothing acknowledged is lost, nothing is there twice, and the hub's account of each site balances.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.site import Site


def assert_settled(hub: Hub, *sites: Site) -> None:
    """Let everything arrive, and count. Hub and agents must be running."""
    for site in sites:
        drain(hub, site)
    for site in sites:
        for stream in site.acknowledged.keys() | site.maybe.keys():
            _assert_once(hub, site, stream)
        _assert_balanced(hub, site)
    checked = hub.run("completeness", "--check")
    assert checked.code == 0, checked.out


def drain(hub: Hub, site: Site) -> None:
    """Return when the site has nothing left, by its own word and by the hub's."""

    def is_drained() -> bool:
        site.daemon.check()
        lines = hub.completeness(site.name)
        taken = all(
            lines.get(stream, {}).get("produced", 0) >= contents.total()
            for stream, contents in site.acknowledged.items()
        )
        return taken and not any(line["pending"] for line in lines.values()) and site.status()["buffer"]["pending"] == 0

    try:
        until("the site is drained", is_drained)
    except AssertionError:
        shown = json.dumps([site.status(), hub.completeness(site.name)], indent=1)
        raise AssertionError(f"{site.name} is not drained: {shown}\n{site.daemon.said()}") from None


def _assert_once(hub: Hub, site: Site, stream: str) -> None:
    stored, acknowledged = hub.stored(site.name, stream), site.acknowledged[stream]
    lost = acknowledged - stored
    assert not lost, f"{site.name}/{stream}: {lost.total()} acknowledged records are not stored: {_few(lost)}"
    twice = Counter({content: count for content, count in stored.items() if count > 1})
    assert not twice, f"{site.name}/{stream}: {len(twice)} records are stored more than once: {_few(twice)}"
    foreign = stored - acknowledged - site.maybe[stream]
    assert not foreign, f"{site.name}/{stream}: {foreign.total()} stored records were never given: {_few(foreign)}"


def _assert_balanced(hub: Hub, site: Site) -> None:
    for stream, line in hub.completeness(site.name).items():
        parts = sum(line[part] for part in ("stored", "pending", "shed", "quarantined", "gap"))
        assert line["produced"] == parts, line
        assert (line["pending"], line["gap"]) == (0, 0), line
        assert line["quarantined"] == site.refused[stream], line
        if stream in site.acknowledged:
            assert line["stored"] == hub.stored(site.name, stream).total(), line


def _few(contents: Counter[str]) -> list[Any]:
    return contents.most_common(3)
