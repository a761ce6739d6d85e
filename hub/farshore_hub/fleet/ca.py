"""The hub's certificate authority: signs the TLS certificates of the hub, its brokers and its sites, and nothing else.

P-256 throughout. A site's certificate names the site as common name and as DNS name; its serial is what the database
knows it by. Validity starts a day early, for peers whose clocks are behind.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from farshore_hub.errors import Invalid
from farshore_hub.fleet.addresses import HUB_NAME, names_of
from farshore_protocol.topics import BROKER_NAME, HUB_CLIENT

CA_LIFE: Final = timedelta(days=3653)
SERVER_LIFE: Final = timedelta(days=397)
SERIAL_BYTES: Final = 16
_EARLY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate holds."""

    start: datetime
    end: datetime

    @classmethod
    def beginning(cls, now_us: int, life: timedelta) -> Validity:
        """From a day ago until `life` from now."""
        now = instant(now_us)
        return cls(now - _EARLY, now + life)

    @property
    def end_us(self) -> int:
        """The end in microseconds since 1970."""
        return int(self.end.timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, hub: bytes, now_us: int, serial: bytes) -> CertificateAuthority:
        """A new authority for the hub with that id."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Farshore hub {hub.hex()}")
        valid = Validity.beginning(now_us, CA_LIFE)
        draft = _draft(name, name, key.public_key(), valid, serial)
        draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        draft = draft.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(draft.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM; public."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the certificate's DER form, which join tokens carry."""
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).digest()

    def issue_site(self, site: str, key: ec.EllipticCurvePublicKey, valid: Validity, serial: bytes) -> x509.Certificate:
        """A client certificate for a site."""
        names = [x509.DNSName(site)]
        return self._issue(site, names, key, valid, serial, ExtendedKeyUsageOID.CLIENT_AUTH)

    def issue_server(
        self, addresses: list[str], key: ec.EllipticCurvePublicKey, now_us: int, serial: bytes
    ) -> x509.Certificate:
        """The hub's own TLS certificate."""
        valid = Validity.beginning(now_us, SERVER_LIFE)
        return self._issue(HUB_NAME, names_of(addresses), key, valid, serial, ExtendedKeyUsageOID.SERVER_AUTH)

    def issue_broker(self, key: ec.EllipticCurvePublicKey, now_us: int, serial: bytes) -> x509.Certificate:
        """A certificate for an MQTT broker. It names no address, so that no broker can pose as the hub."""
        valid = Validity.beginning(now_us, SERVER_LIFE)
        names = [x509.DNSName(BROKER_NAME)]
        return self._issue(BROKER_NAME, names, key, valid, serial, ExtendedKeyUsageOID.SERVER_AUTH)

    def issue_hub_client(self, key: ec.EllipticCurvePublicKey, now_us: int, serial: bytes) -> x509.Certificate:
        """The certificate that the hub itself shows to a broker; no database knows it, so it signs in nowhere else."""
        valid = Validity.beginning(now_us, CA_LIFE)  # no hub runs so long without a start, and its key is in memory
        names = [x509.DNSName(HUB_CLIENT)]
        return self._issue(HUB_CLIENT, names, key, valid, serial, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self,
        subject: str,
        names: list[x509.DNSName] | list[x509.GeneralName],
        key: ec.EllipticCurvePublicKey,
        valid: Validity,
        serial: bytes,
        purpose: x509.ObjectIdentifier,
    ) -> x509.Certificate:
        issuer = self.certificate.subject
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        draft = _draft(_name(subject), issuer, key, valid, serial)
        draft = draft.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        draft = draft.add_extension(_usage(signs_certificates=False), critical=True)
        draft = draft.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
        draft = draft.add_extension(authority, critical=False)
        return draft.sign(self.key, hashes.SHA256())


def read_csr(pem: str) -> ec.EllipticCurvePublicKey:
    """The key that a certificate signing request asks for; whatever else it asks for is ignored.

    Raises:
        Invalid: not a request, not for a P-256 key, or not signed by that key.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key, signed = request.public_key(), request.is_signature_valid
    except Exception:  # noqa: BLE001 - the parser's errors for hostile input have no common class
        raise Invalid("the certificate signing request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Invalid("the certificate signing request must be for a P-256 key")
    if not signed:
        raise Invalid("the certificate signing request is not signed by its own key")
    return key


def pem_of(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    """A private key as PEM; secret."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def serial_number(serial: bytes) -> int:
    """Random bytes as a certificate's serial: positive, at most 20 bytes (RFC 5280, 4.1.2.2)."""
    return int.from_bytes(serial, "big") | 1 << (8 * len(serial) - 2)


def instant(time_us: int) -> datetime:
    """Microseconds since 1970 as a UTC time, to the second, as certificates count."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: Validity, serial: bytes
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial_number(serial))
        .not_valid_before(valid.start)
        .not_valid_after(valid.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
