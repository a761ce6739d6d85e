"""Enrolment: a join token and a site's new keys in, a certificate and the hub's keys out.

The token is used up in the transaction that issues the certificate: of two that come with it at once, one wins.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from farshore_hub.errors import Invalid, TokenRefused
from farshore_hub.fleet.ca import SERIAL_BYTES, Validity, pem_of, read_csr, serial_number
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.sites import hash_of
from farshore_hub.store import fleet as store
from farshore_hub.store import site_reports
from farshore_hub.store.engine import writing
from farshore_hub.store.fleet import Site, SiteState
from farshore_protocol import wire
from farshore_protocol.enrolment import EnrolmentRequest, Membership, read_enrolment

_log = logging.getLogger(__name__)
_REMEDY = "ask the hub's operator for a new one: farshore-hub site token NAME"


def enrol(fleet: Fleet, raw: bytes) -> bytes:
    """Answer a packed `EnrolmentRequest` with a packed `Membership`.

    Raises:
        ProtocolError: the request cannot be read.
        Invalid: its certificate signing request or its signing key is not acceptable; the token stays good.
        TokenRefused: unknown, used, too old, or another site's.
    """
    request = read_enrolment(raw)
    key = read_csr(request.csr)
    with writing(fleet.engine) as connection:
        site = _redeem(fleet, connection, request)
        store.delete_certificates(connection, site.id)
        store.activate_site(connection, site.id, request.signing_key, fleet.clock.now_us())
        site_reports.forget(connection, site.id, fleet.clock.now_us())
        membership = issue_membership(fleet, connection, site, key)
    _log.info("site %s has joined", site.name)
    return membership


def issue_membership(fleet: Fleet, connection: Connection, site: Site, key: ec.EllipticCurvePublicKey) -> bytes:
    """Sign a certificate, note its serial, and pack the answer to an enrolment or renewal."""
    now_us = fleet.clock.now_us()
    serial = fleet.random.token(SERIAL_BYTES)
    valid = Validity.beginning(now_us, timedelta(seconds=fleet.site_life_s))
    certificate = fleet.keys.newest_ca.issue_site(site.name, key, valid, serial)
    store.insert_certificate(connection, certificate_id(serial_number(serial)), site.id, now_us, valid.end_us)
    membership = Membership(
        site=site.name,
        hub=fleet.keys.hub,
        at_us=now_us,
        certificate=pem_of(certificate).decode(),
        ca=fleet.keys.ca.pem.decode(),
        signing_keys=fleet.keys.public_signing_keys,
        sealing_keys=fleet.keys.public_sealing_keys,
        addresses=fleet.addresses,
        keyring=fleet.keys.keyring.number,
        authorities=fleet.keys.keyring.authorities,
    )
    return wire.pack(membership)


def certificate_id(serial: int) -> str:
    """A certificate's serial as the database keeps it."""
    return f"{serial:040x}"


def _redeem(fleet: Fleet, connection: Connection, request: EnrolmentRequest) -> Site:
    secret_hash, now_us = hash_of(request.secret), fleet.clock.now_us()
    token = store.find_join_token(connection, secret_hash)
    site = store.claim_site(connection, request.site)
    if token is None or site is None or token.site_id != site.id:
        raise TokenRefused("this join token is not known here", remedy=_REMEDY)
    if token.expires_us <= now_us:
        raise TokenRefused("this join token is too old", remedy=_REMEDY)
    if site.state is SiteState.REVOKED and site.signing_key == request.signing_key:
        raise Invalid(
            f"the signing key of site {site.name} was revoked with it; whoever has it is not to be believed",
            remedy="enrol with new keys: farshore-agent enrol TOKEN --force makes them",
        )
    if not store.use_join_token(connection, secret_hash, now_us):
        raise TokenRefused("this join token was used already", remedy=_REMEDY)
    return site
