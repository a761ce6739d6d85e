"""Where orders and reports go over MQTT: `farshore/HUB/SITE/WHAT`, with the hub's id in hex.

A site reads the first two of its topics and writes the last two; nobody but the hub may do anything else. What is said
there is no secret and proves nothing (`orders`); presence is a hint.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from farshore_protocol.limits import KIB, MAX_ORDER_BYTES, MAX_REPORT_BYTES
from farshore_protocol.names import BadName, check_site

ROOT: Final = "farshore"
BROKER_NAME: Final = "farshore-broker"
"""Stands in the certificate of a broker, which a hub's CA signs for brokers only: no broker can pose as the hub."""

HUB_CLIENT: Final = "_hub"
"""Common name of the certificate that a hub shows to a broker; no site can have this name."""

MAX_PACKET_BYTES: Final = max(MAX_ORDER_BYTES, MAX_REPORT_BYTES) + KIB
"""The largest message on these topics, with its topic."""

PRESENT: Final = b"1"
ABSENT: Final = b"0"
"""A site's last will."""


_PLACE: Final = re.compile(r"(?:([A-Za-z0-9_.-]{1,253})|\[([0-9A-Fa-f:.]{2,45})\]):([0-9]{1,5})")
_MAX_PORT: Final = 65_535


class What(enum.StrEnum):
    """The last level of a topic."""

    SETTINGS = "settings"
    """The desired settings; retained."""
    COMMAND = "command"
    REPORT = "report"
    """Retained."""
    PRESENCE = "presence"
    """Whether the site is connected; retained."""


READ_BY_SITE: Final = (What.SETTINGS, What.COMMAND)
WRITTEN_BY_SITE: Final = (What.REPORT, What.PRESENCE)


def split_broker(place: str) -> tuple[str, int]:
    """`HOST:PORT` of a broker as its parts.

    Raises:
        ValueError: it is not that; the text says how it is written.
    """
    found = _PLACE.fullmatch(place)
    port = int(found[3]) if found else 0
    if found is None or not 0 < port <= _MAX_PORT:
        raise ValueError(f"{place[:80]!r} is not where a broker is: write it as HOST:PORT")
    return found[1] or found[2], port


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one hub."""

    hub: bytes

    def of(self, site: str, what: What) -> str:
        """One topic of one site."""
        return f"{ROOT}/{self.hub.hex()}/{site}/{what}"

    def of_all(self, what: What) -> str:
        """What a hub subscribes to, for all sites."""
        return self.of("+", what)

    def read(self, topic: str) -> tuple[str, What] | None:
        """Whose topic it is and what is said there; None where it is none of this hub's."""
        root, _, rest = topic.partition("/")
        hub, _, rest = rest.partition("/")
        site, _, what = rest.partition("/")
        if root != ROOT or hub != self.hub.hex():
            return None
        try:
            return check_site(site), What(what)
        except (BadName, ValueError):
            return None

    def client_id(self, site: str) -> str:
        """The name that a site's connection has at the broker: no two hubs share one."""
        return f"{self.hub.hex()}-{site}"
