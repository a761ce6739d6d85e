"""Making a site's keys and asking for a certificate. Needed at enrolment and renewal only: it loads the X.509 parts."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from farshore_agent.errors import IdentityError
from farshore_agent.identity.identity import Identity, SiteKeys
from farshore_protocol.enrolment import Membership
from farshore_protocol.ports import Random

_SIGNING_KEY_BYTES = 32
_US_PER_S = 1_000_000


def create_keys(random: Random) -> SiteKeys:
    """Fresh keys. The TLS key's randomness is drawn inside the library."""
    return SiteKeys(_pem(ec.generate_private_key(ec.SECP256R1())), random.token(_SIGNING_KEY_BYTES))


def renewed_keys(keys: SiteKeys) -> SiteKeys:
    """The same signing key with a fresh TLS key: what was sealed and signed before stays good."""
    return SiteKeys(_pem(ec.generate_private_key(ec.SECP256R1())), keys.signing_key)


def certificate_request(keys: SiteKeys, site: str) -> str:
    """A certificate signing request (PKCS #10, PEM) for the TLS key."""
    key = serialization.load_pem_private_key(keys.tls_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError("the TLS key of the identity is not a P-256 key", remedy="enrol again with --force")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def read_ca(answer: bytes) -> tuple[str, bytes]:
    """A certificate as PEM, and the SHA-256 of its DER form, as join tokens carry it.

    Whatever else came with the certificate is left behind: its hash says nothing of that.

    Raises:
        ValueError: not a certificate.
    """
    certificate = x509.load_pem_x509_certificate(answer)
    fingerprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), fingerprint


def identity_of(keys: SiteKeys, membership: Membership) -> Identity:
    """What the hub answered, once it is found to belong to these keys.

    Raises:
        IdentityError: the certificate is for another key, or cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(membership.certificate.encode())
        # Its parts are read when they are asked for.
        certified, ends_s = certificate.public_key(), int(certificate.not_valid_after_utc.timestamp())
    except (ValueError, UnsupportedAlgorithm):
        raise IdentityError("the hub sent a certificate that cannot be read", remedy="upgrade the hub") from None
    own = serialization.load_pem_private_key(keys.tls_key.encode(), password=None).public_key()
    if certified != own:
        raise IdentityError("the hub sent a certificate for another key", remedy="ask the hub's operator")
    return Identity(keys, membership, ends_s * _US_PER_S)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
