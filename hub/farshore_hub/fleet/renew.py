"""Renewal: a new certificate for a site that signs in with its old one, or with its signing key later."""

from __future__ import annotations

import logging

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection

from farshore_hub.errors import HubError, SiteRevoked, Unauthenticated
from farshore_hub.fleet.ca import read_csr
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.enrol import issue_membership
from farshore_hub.fleet.signin import Peer, site_with
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import writing
from farshore_hub.store.fleet import Site, SiteState
from farshore_protocol.enrolment import RenewalRequest, read_renewal, signed_renewal
from farshore_protocol.sealing import check_signature

_log = logging.getLogger(__name__)
_US_PER_S = 1_000_000


def renew(fleet: Fleet, raw: bytes, peer: Peer | None) -> bytes:
    """Answer a packed `RenewalRequest` with a packed `Membership`.

    Args:
        fleet: the hub's database, keys and rules.
        raw: the request.
        peer: the client certificate that the connection bears, if it bears one. Whether it is still good is looked up
            here: the request may have been under way for minutes.

    Raises:
        ProtocolError: the request cannot be read, or its signature is not the site's.
        Invalid: its certificate signing request is not acceptable.
        SiteRevoked: the site is shut out.
        Unauthenticated: there is no such site, or its last certificate ended too long ago.
    """
    request = read_renewal(raw)
    key = read_csr(request.csr)
    with writing(fleet.engine) as connection:
        site = _entitled(fleet, connection, request, peer)
        membership = issue_membership(fleet, connection, site, key)
    _log.info("site %s has a new certificate", site.name)
    return membership


def _entitled(fleet: Fleet, connection: Connection, request: RenewalRequest, peer: Peer | None) -> Site:
    site = store.claim_site(connection, request.site)
    if site is not None and site.state is SiteState.REVOKED:
        raise SiteRevoked(f"site {site.name} is revoked", remedy="its operator can have it join anew with a new token")
    if site is None or site.signing_key is None:
        raise Unauthenticated("no such site has enrolled here", remedy="enrol with a join token")
    if not _is_signed_in(fleet, connection, site, peer):
        check_signature(
            Ed25519PublicKey.from_public_bytes(site.signing_key),
            request.signature,
            signed_renewal(request.site, request.csr),
        )
        _check_grace(fleet, connection, site)
    return site


def _is_signed_in(fleet: Fleet, connection: Connection, site: Site, peer: Peer | None) -> bool:
    try:
        return peer is not None and site_with(connection, peer, fleet.clock.now_us()) == site.name
    except HubError:
        return False


def _check_grace(fleet: Fleet, connection: Connection, site: Site) -> None:
    end_us = store.last_certificate_end(connection, site.id)
    if end_us is None or end_us + fleet.renewal_grace_s * _US_PER_S < fleet.clock.now_us():
        raise Unauthenticated(
            f"the last certificate of site {site.name} ended too long ago",
            remedy=f"have it join anew: farshore-hub site token {site.name}",
        )
