"""The hub's keys on disk: its id, the CA, the TLS certificate, the signing key and the sealing key.

One file each in `DATA_DIR/keys`, mode 0600, written whole. A file that exists is never written over, but for the TLS
certificate, which is renewed: so `create` after a crash in the middle of `create` ends with one full set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.errors import NotReady
from farshore_hub.fleet.addresses import names_of
from farshore_hub.fleet.ca import SERIAL_BYTES, CertificateAuthority, instant, pem_of, private_pem
from farshore_hub.fleet.files import make_private_folder
from farshore_protocol.batch import ID_BYTES
from farshore_protocol.enrolment import HubKey
from farshore_protocol.ports import Clock, Random
from farshore_protocol.sealing import SEALING_SEED_BYTES, SealingKey, key_id
from farshore_shell.files import write_private

_HUB: Final = "hub.id"
_CA: Final = "authority.pem"
_TLS: Final = "tls.pem"
_SIGNING: Final = "signing.pem"
_SEALING: Final = "sealing.seed"


@dataclass(frozen=True, slots=True)
class HubKeys:
    """Everything secret that makes this hub this hub.

    Attributes:
        folder: where they lie.
        hub: the hub's id, 8 bytes.
        ca: the certificate authority.
        signing: signs answers; named `signing_id`.
        sealing: opens key epochs; named `sealing.id`.
    """

    folder: Path
    hub: bytes
    ca: CertificateAuthority
    signing: Ed25519PrivateKey
    sealing: SealingKey

    @classmethod
    def create(cls, folder: Path, clock: Clock, random: Random) -> HubKeys:
        """Make what is not there yet, and load all of it."""
        make_private_folder(folder)
        _make(folder / _HUB, lambda: random.token(ID_BYTES).hex().encode())
        hub = bytes.fromhex((folder / _HUB).read_text())
        _make(folder / _CA, lambda: _new_ca(hub, clock, random))
        _make(folder / _SIGNING, lambda: private_pem(Ed25519PrivateKey.generate()))
        _make(folder / _SEALING, lambda: random.token(SEALING_SEED_BYTES).hex().encode())
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> HubKeys:
        """Load all keys.

        Raises:
            NotReady: one is missing or cannot be read.
        """
        try:
            return cls(
                folder,
                bytes.fromhex((folder / _HUB).read_text()),
                _read_ca((folder / _CA).read_bytes()),
                _read_signing((folder / _SIGNING).read_bytes()),
                _read_sealing((folder / _SEALING).read_text()),
            )
        except (OSError, ValueError, TypeError) as error:
            raise NotReady(
                f"the hub's keys in {folder} cannot be read: {error}",
                remedy="run 'farshore-hub init', or restore the folder from a backup; without it nothing can be opened",
            ) from None

    @property
    def signing_id(self) -> bytes:
        """The name of the signing key: 8 bytes of the hash of its public half."""
        return key_id(self.signing.public_key().public_bytes_raw())

    @property
    def public_signing_keys(self) -> list[HubKey]:
        """What sites are given to check answers with."""
        return [HubKey(self.signing_id, self.signing.public_key().public_bytes_raw())]

    @property
    def public_sealing_keys(self) -> list[HubKey]:
        """What sites are given to seal key epochs to."""
        return [HubKey(self.sealing.id, self.sealing.public_bytes())]

    @property
    def tls_path(self) -> Path:
        """PEM file of the TLS key, its certificate and the CA's, as `ssl.SSLContext.load_cert_chain` takes it."""
        return self.folder / _TLS

    def renew_tls(self, addresses: list[str], clock: Clock, random: Random) -> bool:
        """Make a new TLS certificate if there is none for these addresses with a third of its life left.

        Returns:
            Whether there is a new one.
        """
        if self._tls_is_good(addresses, clock.now_us()):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.ca.issue_server(addresses, key.public_key(), clock.now_us(), random.token(SERIAL_BYTES))
        write_private(self.tls_path, private_pem(key) + pem_of(certificate) + self.ca.pem)
        return True

    def _tls_is_good(self, addresses: list[str], now_us: int) -> bool:
        try:
            certificate = x509.load_pem_x509_certificates(self.tls_path.read_bytes())[0]
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return False
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        good_until = start + (end - start) * 2 / 3
        return set(names) == set(names_of(addresses)) and start <= instant(now_us) < good_until


def _make(path: Path, content: Callable[[], bytes]) -> None:
    if not path.exists():
        write_private(path, content())


def _new_ca(hub: bytes, clock: Clock, random: Random) -> bytes:
    ca = CertificateAuthority.create(hub, clock.now_us(), random.token(SERIAL_BYTES))
    return private_pem(ca.key) + ca.pem


def _read_ca(pem: bytes) -> CertificateAuthority:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{_CA} holds no P-256 key")
    return CertificateAuthority(x509.load_pem_x509_certificate(pem), key)


def _read_signing(pem: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{_SIGNING} holds no Ed25519 key")
    return key


def _read_sealing(text: str) -> SealingKey:
    return SealingKey.of_seed(bytes.fromhex(text))
