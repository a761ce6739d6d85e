"""Certificates for brokers, and the one that the hub shows to a broker."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from farshore_hub.fleet.ca import SERIAL_BYTES, pem_of, private_pem
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.enrol import certificate_id

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: an operator's broker may have a certificate that ended; its orders are signed."""


@dataclass(frozen=True, slots=True)
class HubClient:
    """The hub as a client of brokers.

    Attributes:
        serial: of its certificate.
        tls: trusts brokers of this hub's CA alone, and shows that certificate.
    """

    serial: str
    tls: ssl.SSLContext


def broker_chain(fleet: Fleet) -> bytes:
    """A new key and its certificate, for a broker; PEM, secret."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = fleet.keys.ca.issue_broker(key.public_key(), fleet.clock.now_us(), fleet.random.token(SERIAL_BYTES))
    return private_pem(key) + pem_of(certificate)


def hub_client(fleet: Fleet) -> HubClient:
    """The hub with a new certificate, whose key is in memory only."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = fleet.keys.ca
    certificate = ca.issue_hub_client(key.public_key(), fleet.clock.now_us(), fleet.random.token(SERIAL_BYTES))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= _NO_CHECK_TIME
    context.load_verify_locations(cadata=fleet.keys.trusted_pem.decode())
    # OpenSSL takes them from a file only, which only we may read and which is gone at once.
    with tempfile.TemporaryDirectory(prefix="farshore-") as folder:
        chain = Path(folder) / "chain.pem"
        chain.write_bytes(private_pem(key) + pem_of(certificate))
        context.load_cert_chain(chain)
    return HubClient(certificate_id(certificate.serial_number), context)
