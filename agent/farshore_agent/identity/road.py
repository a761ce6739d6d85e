"""The road to the hub: whoever has something to ask of it is led to its door here, over TLS.

The simulation hands in a road of its own; everything above it is the code that ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from farshore_agent.forward.hub_http import HubDoor, HubHttp
from farshore_agent.identity.tls import pinned_context, unverified_context
from farshore_protocol.ports import Clock


class Road(Protocol):
    """Leads to the door of a hub."""

    def __call__(self, addresses: Sequence[str], *, ca: str | None, chain: Path | None = None) -> HubDoor:
        """The door at `addresses`, which is to be closed after use.

        Args:
            addresses: of one hub.
            ca: the certificates (PEM) that alone are trusted; None trusts whoever answers, which is for two questions
                only: for the CA certificate itself, and for keyrings, which prove themselves.
            chain: a file with the site's certificate and key; without it the site is not signed in.

        Raises:
            LinkError: an address is none.
            IdentityError: the certificates cannot be used.
        """
        ...


class TlsRoad:
    """The real one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, addresses: Sequence[str], *, ca: str | None, chain: Path | None = None) -> HubDoor:
        """The door at `addresses`, over TLS; see `Road`."""
        context = unverified_context() if ca is None else pinned_context(ca, chain)
        return HubHttp(addresses, context, self._clock)
