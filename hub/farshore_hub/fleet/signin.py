"""Who is asking: a site by its client certificate, a person or script by its token. The database is asked each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection

from farshore_hub.errors import SiteRevoked, Unauthenticated
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.enrol import certificate_id
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import Certificate, SiteState


@dataclass(frozen=True, slots=True)
class Peer:
    """What a client certificate says; TLS has checked that this hub's CA signed it."""

    serial: str
    name: str


@lru_cache(maxsize=1024)
def peer_of(pem: str) -> Peer:
    """Read a client certificate."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Peer(certificate_id(certificate.serial_number), str(names[0].value) if names else "")


def site_of(fleet: Fleet, peer: Peer) -> str:
    """The active site that a certificate belongs to.

    Raises:
        Unauthenticated: the hub has not issued it, or it has ended.
        SiteRevoked: the site is shut out.
    """
    [site] = sites_of(fleet, [peer])
    if isinstance(site, Exception):
        raise site
    return site


def sites_of(fleet: Fleet, peers: Sequence[Peer]) -> list[str | Exception]:
    """The same for many certificates at once: for each the site, or what `site_of` would raise."""
    with reading(fleet.engine) as connection:
        return _sites_with(connection, peers, fleet.clock.now_us())


def site_with(connection: Connection, peer: Peer, now_us: int) -> str:
    """The same as `site_of` in the caller's transaction."""
    [site] = _sites_with(connection, [peer], now_us)
    if isinstance(site, Exception):
        raise site
    return site


def _sites_with(connection: Connection, peers: Sequence[Peer], now_us: int) -> list[str | Exception]:
    known = store.find_certificates(connection, (peer.serial for peer in peers))
    return [_site(connection, peer, known.get(peer.serial), now_us) for peer in peers]


def _site(connection: Connection, peer: Peer, known: Certificate | None, now_us: int) -> str | Exception:
    if known is None:
        site = store.find_site(connection, peer.name)
        if site is not None and site.state is SiteState.REVOKED:
            return SiteRevoked(f"site {peer.name} is revoked", remedy="its operator can have it join anew")
        return Unauthenticated("this certificate is not known here", remedy="renew it, or enrol again")
    if known.state is not SiteState.ACTIVE:
        return SiteRevoked(f"site {known.site} is {known.state}", remedy="its operator can have it join anew")
    if known.not_after_us <= now_us:
        return Unauthenticated(f"the certificate of site {known.site} has ended", remedy="renew it")
    return known.site
