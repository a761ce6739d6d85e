"""The hub's answer to an enrolment or a renewal."""

from __future__ import annotations

from typing import Final

from farshore_agent.errors import LinkError
from farshore_protocol.enrolment import Membership, read_membership
from farshore_protocol.errors import ProtocolError

MESSAGE_TYPE: Final = "application/vnd.msgpack"
"""Media type of requests and answers."""


class WrongHub(LinkError):
    """Who answers is not the hub that was meant, or does not answer what was asked."""

    title = "this is not the right hub"


def membership_of(raw: bytes, site: str) -> Membership:
    """Read an answer that has to be for `site`.

    Raises:
        WrongHub: it is for another one, or cannot be read.
    """
    try:
        membership = read_membership(raw)
    except ProtocolError as error:
        raise WrongHub(f"the hub's answer cannot be read: {error}", remedy="upgrade the older side") from None
    if membership.site != site:
        raise WrongHub(f"the hub's answer is for the site {membership.site}", remedy="ask the hub's operator")
    return membership
