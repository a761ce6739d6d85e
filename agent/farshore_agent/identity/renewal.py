"""Staying a member: a new certificate at two thirds of the old one's life, on the hub's clock; the hub's new keys.

Whether it is due is a pure question. A certificate that has ended is no obstacle: the site proves itself with its
signing key, on a connection without client certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from farshore_agent.forward.hub_http import HubDoor
from farshore_agent.forward.link import LinkDown, LinkRefused
from farshore_agent.identity.answer import MESSAGE_TYPE, WrongHub, membership_of
from farshore_agent.identity.identity import Identity, SiteKeys
from farshore_agent.identity.road import Road
from farshore_protocol import wire
from farshore_protocol.enrolment import RenewalRequest, signed_renewal
from farshore_protocol.errors import ProtocolError
from farshore_protocol.keyring import read_chain

KEYRINGS: Final = "/v1/keyrings"
FRACTION: Final = 2 / 3
JITTER: Final = 0.1
"""A fleet that enrolled on one day does not renew in one minute."""


def due_us(identity: Identity, jitter: float) -> int:
    """When to renew, on the hub's clock; `jitter` is between 0 and 1, and draws it earlier."""
    start, end = identity.membership.at_us, identity.not_after_us
    return start + round((end - start) * (FRACTION - JITTER * jitter))


async def renew(identity: Identity, folder: Path, addresses: Sequence[str], road: Road) -> Identity:
    """Ask for a new certificate; the result is not saved yet. The hub's keys and addresses come fresh with it.

    Raises:
        LinkDown, LinkBusy, LinkRefused: as their texts say.
        WrongHub, IdentityError: the hub's answer does not fit.
    """
    from farshore_agent.identity import keys as key_making  # noqa: PLC0415 - 3.5 MiB, needed every few weeks

    keys = key_making.renewed_keys(identity.keys)
    body = _request(identity, keys, key_making.certificate_request(keys, identity.site))
    ca = identity.authorities
    try:
        raw = await _ask(road(addresses, ca=ca, chain=identity.write_chain(folder)), body)
    except (LinkRefused, LinkDown):
        # The old certificate may be what the hub does not like: it ended, its connection was cut for it, or its
        # authority is retired.
        raw = await _ask(road(addresses, ca=ca), body)
    return key_making.identity_of(keys, membership_of(raw, identity.site))


async def ask_keyrings(identity: Identity, addresses: Sequence[str], road: Road) -> list[bytes]:
    """Ask whoever answers for the hub's keyrings that the site lacks. Each proves itself: see `Identity.following`.

    Raises:
        LinkDown, LinkBusy, LinkRefused: as their texts say.
        WrongHub: what came is something else.
    """
    door = road(addresses, ca=None)
    try:
        raw = await door.ask_any("GET", f"{KEYRINGS}?after={identity.membership.keyring}")
        return read_chain(raw)
    except ProtocolError as error:
        raise WrongHub(f"the answer cannot be read: {error}", remedy="check the address of the hub") from None
    finally:
        await door.close()


def _request(identity: Identity, keys: SiteKeys, csr: str) -> bytes:
    signature = keys.signer().sign(signed_renewal(identity.site, csr))
    return wire.pack(RenewalRequest(identity.site, csr, signature))


async def _ask(hub: HubDoor, body: bytes) -> bytes:
    try:
        return await hub.ask_any("POST", "/v1/renew", body, content_type=MESSAGE_TYPE)
    finally:
        await hub.close()
