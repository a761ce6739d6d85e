"""Joining a hub with a one-use token.

Before anything secret is sent, the hub's CA certificate is fetched and its hash compared with the token's; from then on
nothing else is trusted. The keys are made here and never leave the site.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from farshore_agent.errors import AgentError, ExitCode
from farshore_agent.forward.link import LinkRefused
from farshore_agent.identity import keys as key_making
from farshore_agent.identity.answer import MESSAGE_TYPE, WrongHub, membership_of
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.road import Road, TlsRoad
from farshore_protocol import wire
from farshore_protocol.enrolment import EnrolmentRequest, JoinToken, read_token
from farshore_protocol.errors import ProtocolError
from farshore_shell.system import World

_ASK_AGAIN: Final = "ask the hub's operator for a new token: farshore-hub site token {site}"


class BadToken(AgentError):
    """The token cannot be used, whatever hub it is for."""

    exit_code = ExitCode.USAGE
    title = "the join token cannot be used"


def parse_token(text: str) -> JoinToken:
    """Read a pasted token.

    Raises:
        BadToken: it is not one, or was cut.
    """
    try:
        return read_token(text)
    except ProtocolError as error:
        raise BadToken(str(error), remedy="copy the whole line that the hub printed, it is one word") from None


async def enrol(token: JoinToken, world: World, *, addresses: Sequence[str] = (), road: Road | None = None) -> Identity:
    """Join the hub of a token with fresh keys; the identity is not saved yet.

    No key is older than its enrolment: after a theft a new enrolment shuts out whoever has the keys before. What was
    sealed under them stays good, because a key epoch is signed anew whenever it travels.

    Args:
        token: used up by this.
        world: time and randomness.
        addresses: tried before those of the token.
        road: to the hub; over TLS if it is not given.

    Raises:
        WrongHub, LinkDown, LinkBusy, LinkRefused: as their texts say.
        IdentityError: the hub's answer does not fit.
    """
    addresses = tuple(dict.fromkeys((*addresses, *token.addresses)))
    road = road or TlsRoad(world.clock)
    ca = await _fetch_ca(token, addresses, road)
    keys = key_making.create_keys(world.random)
    request = EnrolmentRequest(
        site=token.site,
        secret=token.secret,
        csr=key_making.certificate_request(keys, token.site),
        signing_key=keys.signer().public_key().public_bytes_raw(),
    )
    hub = road(addresses, ca=ca)
    try:
        raw = await hub.ask_any("POST", "/v1/enrol", wire.pack(request), content_type=MESSAGE_TYPE)
    except LinkRefused as refused:
        refused.remedy = refused.remedy or _ASK_AGAIN.format(site=token.site)
        raise
    finally:
        await hub.close()
    membership = membership_of(raw, token.site)
    if membership.ca.split() != ca.split():
        raise WrongHub("the hub answers with another CA than its own", remedy="ask the hub's operator")
    return key_making.identity_of(keys, membership)


async def _fetch_ca(token: JoinToken, addresses: Sequence[str], road: Road) -> str:
    hub = road(addresses, ca=None)
    try:
        pem, found = key_making.read_ca(await hub.ask_any("GET", "/v1/ca"))
    except ValueError:
        raise WrongHub(f"{hub.address} is not a Farshore hub", remedy="check the address in the token") from None
    finally:
        await hub.close()
    if not hmac.compare_digest(found, token.ca_sha256):
        raise WrongHub(
            f"{hub.address} is not the hub that made this token: its CA certificate has the SHA-256 {found.hex()}, "
            f"the token says {token.ca_sha256.hex()}",
            remedy="check that nobody stands in between. If the hub was set up anew, "
            + _ASK_AGAIN.format(site=token.site),
        )
    return pem
