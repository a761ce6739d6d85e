"""Every target that there is; to import this imports agent and hub."""

from __future__ import annotations

from tests.fuzz.target import TARGETS, Target
from tests.fuzz.targets import (
    backup,
    collect,
    columns,
    http,
    hub,
    hub_http,
    identity,
    messages,
    mqtt,
    orders,
    settings,
    tables,
)

ROOMS = (columns, messages, collect, http, settings, identity, hub, hub_http, mqtt, orders, tables, backup)


def find(name: str) -> Target:
    """The target of that name.

    Raises:
        KeyError: there is none; names those that there are.
    """
    if name not in TARGETS:
        raise KeyError(f"there is no target {name!r}, only: {', '.join(TARGETS)}")
    return TARGETS[name]
