"""A site's side of joining, as an agent does it, and a clock that a test can turn."""

from __future__ import annotations

import asyncio

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from farshore_protocol import wire
from farshore_protocol.enrolment import EnrolmentRequest, RenewalRequest, read_token, signed_renewal

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


class TurnableClock:
    def __init__(self, now_us: int = 1_795_000_000_000_000) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us

    def monotonic_s(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.us += int(seconds * 1_000_000)
        await asyncio.sleep(0)

    def turn_days(self, days: float) -> None:
        self.us += int(days * DAY_US)


class SiteKeys:
    """What an agent makes before it enrols."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tls = ec.generate_private_key(ec.SECP256R1())
        self.signing = Ed25519PrivateKey.generate()

    def csr(self, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key or self.tls, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def enrolment(self, token: str, *, csr: str | None = None) -> bytes:
        secret = read_token(token).secret
        return wire.pack(
            EnrolmentRequest(self.name, secret, csr or self.csr(), self.signing.public_key().public_bytes_raw())
        )

    def renewal(self, *, signed_by: Ed25519PrivateKey | None = None) -> bytes:
        csr = self.csr()
        signature = (signed_by or self.signing).sign(signed_renewal(self.name, csr))
        return wire.pack(RenewalRequest(self.name, csr, signature))

    def unsigned_renewal(self) -> bytes:
        return wire.pack(RenewalRequest(self.name, self.csr(), b""))

    def tls_key_pem(self) -> str:
        return self.tls.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
