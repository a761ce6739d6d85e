"""What has to hold in the end, whatever was done.

Nothing acknowledged is lost, nothing is there twice, and the hub's account of each site balances.
"""

from __future__ import annotations

import json

from tests.acceptance.commands import until
from tests.acceptance.hub import Hub
from tests.acceptance.site import Site
from tests.acceptance.verdict import Comparison, account_faults


def assert_settled(hub: Hub, *sites: Site) -> None:
    """Let everything arrive, and count. Hub and agents must be running."""
    for site in sites:
        drain(hub, site)
    for site in sites:
        found = faults(hub, site)
        assert not found, "\n".join((site.name, *found))
    checked = hub.run("completeness", "--check")
    assert checked.code == 0, checked.out


def faults(hub: Hub, site: Site) -> list[str]:
    """What is wrong with a site that is drained, in words."""
    lines, found = hub.completeness(site.name), []
    for stream in lines.keys() | site.acknowledged.keys() | site.maybe.keys():
        line = lines.get(stream)
        if stream in site.acknowledged or stream in site.maybe:
            stored = hub.stored(site.name, stream)
            comparison = Comparison.of(stored, site.acknowledged[stream], site.maybe[stream])
            found += [f"{stream}: {fault}" for fault in comparison.faults()]
            count = stored.total()
        else:
            count = line["stored"] if line else 0
        if line:
            refused = site.refused[stream]
            found += [f"{stream}: {fault}" for fault in account_faults(line, stored=count, quarantined=refused)]
    return found


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
