"""The HTTPS link: a parcel is the body of one request, the signed answer the body of its response."""

from __future__ import annotations

from typing import Final

from farshore_agent.forward.hub_http import HubDoor
from farshore_protocol.parcel import PARCEL_TYPE
from farshore_protocol.urgency import Urgency

PATH: Final = "/v1/parcels"


class HttpsLink:
    """A `forward.link.Link` over a hub's HTTPS door."""

    def __init__(self, hub: HubDoor) -> None:
        self._hub = hub

    @property
    def address(self) -> str:
        """The hub's address that is used now."""
        return self._hub.address

    async def exchange(self, parcel: bytes, *, urgency: Urgency, timeout_s: float) -> bytes:
        """Deliver a parcel and return the bytes of the signed answer.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say.
        """
        headers = urgency.headers()
        return await self._hub.ask("POST", PATH, parcel, content_type=PARCEL_TYPE, headers=headers, timeout_s=timeout_s)

    async def close(self) -> None:
        """End the connection."""
        await self._hub.close()
