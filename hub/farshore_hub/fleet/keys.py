"""The hub's keys: its id, certificate authorities, the TLS certificate, signing and sealing keys.

One file each in `DATA_DIR/keys`, mode 0600, written whole. A file that exists is never written over, but for the TLS
certificate, which is renewed: so `create` after a crash in the middle of `create` ends with one full set.

`farshore-hub keys` makes and retires keys while the hub runs. So what is asked of `HubKeys` is what the folder has now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.errors import NotReady
from farshore_hub.fleet.addresses import names_of
from farshore_hub.fleet.ca import SERIAL_BYTES, CertificateAuthority, instant, pem_of, private_pem
from farshore_hub.fleet.files import make_private_folder
from farshore_hub.fleet.key_files import (
    AUTHORITY,
    CHAIN,
    HUB,
    SEALING,
    SIGNING,
    TLS,
    PrivateKeys,
    authority_pem,
    public_sealing,
    read_keys,
)
from farshore_protocol.batch import ID_BYTES
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.keyring import Keyring, read_keyring
from farshore_protocol.limits import MAX_CHAIN_KEYRINGS
from farshore_protocol.ports import Clock, Random
from farshore_protocol.sealing import SEALING_SEED_BYTES, SealingKey
from farshore_shell.files import write_private

_log: Final = logging.getLogger(__name__)
_Stamp = tuple[int, int] | None


class HubKeys:
    """Everything secret that makes this hub this hub. May be used from several threads at once.

    Attributes:
        folder: where the keys lie.
        hub: the hub's id, 8 bytes.
    """

    def __init__(self, folder: Path, hub: bytes, private: PrivateKeys, stamp: _Stamp) -> None:
        self.folder = folder
        self.hub = hub
        self._private = private
        self._stamp = stamp

    @classmethod
    def create(cls, folder: Path, clock: Clock, random: Random) -> Self:
        """Make what is not there yet, and load all of it."""
        make_private_folder(folder)
        _make(folder / HUB, lambda: random.token(ID_BYTES).hex().encode())
        hub = bytes.fromhex((folder / HUB).read_text())
        if not (folder / CHAIN).exists():
            serial = random.token(SERIAL_BYTES)
            _make(folder / AUTHORITY, lambda: authority_pem(CertificateAuthority.create(hub, clock.now_us(), serial)))
            _make(folder / SIGNING, lambda: private_pem(Ed25519PrivateKey.generate()))
            _make(folder / SEALING, lambda: random.token(SEALING_SEED_BYTES).hex().encode())
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load all keys.

        Raises:
            NotReady: one is missing or cannot be read.
        """
        stamp = _stamp_of(folder)
        try:
            return cls(folder, bytes.fromhex((folder / HUB).read_text()), read_keys(folder), stamp)
        except (OSError, ValueError, TypeError) as error:
            raise NotReady(
                f"the hub's keys in {folder} cannot be read: {error}",
                remedy="bring them back from their backup: farshore-hub keys restore FILE; without them nothing can be "
                "opened. For a new hub: farshore-hub init",
            ) from None

    @property
    def private(self) -> PrivateKeys:
        """All of them, as they are now."""
        stamp = _stamp_of(self.folder)
        if stamp != self._stamp:
            try:
                self._private = read_keys(self.folder)
            except (OSError, ValueError, TypeError) as error:
                _log.error("the hub's keys cannot be read any more, those from before stay in use: %s", error)
            self._stamp = stamp
        return self._private

    @property
    def keyring(self) -> Keyring:
        """What sites are told of them."""
        return self.private.keyring

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The signed keyrings, in their order."""
        return self.private.chain

    def chain_after(self, number: int) -> list[bytes]:
        """The keyrings that a site lacks which has that one; the first of them, where they are many."""
        if number >= self.keyring.number:
            return []
        return [each for each in self.chain if read_keyring(each).number > number][:MAX_CHAIN_KEYRINGS]

    @property
    def signing(self) -> Ed25519PrivateKey:
        """Signs answers, orders and statements: the oldest that is not retired, because everybody knows it."""
        return self.signer.key

    @property
    def signing_id(self) -> bytes:
        """The name of that key."""
        return self.signer.id

    @property
    def signer(self) -> Signer:
        """That key and its name."""
        return self.private.signing[-1]

    @property
    def sealing(self) -> SealingKey:
        """What is sealed to from now on."""
        return self.private.sealing[0]

    @property
    def sealing_keys(self) -> tuple[SealingKey, ...]:
        """Everything that opens what was sealed to the hub, the newest first."""
        return self.private.sealing

    @property
    def ca(self) -> CertificateAuthority:
        """Signs what the hub and brokers show: the oldest that is not retired, because every site trusts it."""
        return self.private.authorities[-1]

    @property
    def newest_ca(self) -> CertificateAuthority:
        """Signs the certificates of sites."""
        return self.private.authorities[0]

    @property
    def trusted_pem(self) -> bytes:
        """The certificates of all authorities that are not retired, the newest first."""
        return b"".join(each.pem for each in self.private.authorities)

    @property
    def public_signing_keys(self) -> list[HubKey]:
        """What sites are given to check answers with."""
        return self.keyring.signing

    @property
    def public_sealing_keys(self) -> list[HubKey]:
        """What sites are given to seal key epochs to."""
        return [public_sealing(self.sealing)]

    @property
    def tls_path(self) -> Path:
        """PEM file of the TLS key, its certificate and the CA's, as `ssl.SSLContext.load_cert_chain` takes it."""
        return self.folder / TLS

    def renew_tls(self, addresses: list[str], clock: Clock, random: Random) -> bool:
        """Make a new TLS certificate if there is none of this CA for these addresses with a third of its life left.

        Returns:
            Whether there is a new one.
        """
        if self._tls_is_good(addresses, clock.now_us()):
            return False
        key, ca = ec.generate_private_key(ec.SECP256R1()), self.ca
        certificate = ca.issue_server(addresses, key.public_key(), clock.now_us(), random.token(SERIAL_BYTES))
        write_private(self.tls_path, private_pem(key) + pem_of(certificate) + ca.pem)
        return True

    def _tls_is_good(self, addresses: list[str], now_us: int) -> bool:
        try:
            certificate, ca = x509.load_pem_x509_certificates(self.tls_path.read_bytes())[:2]
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return False
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        good_until = start + (end - start) * 2 / 3
        is_named = set(names) == set(names_of(addresses)) and ca == self.ca.certificate
        return is_named and start <= instant(now_us) < good_until


def _stamp_of(folder: Path) -> _Stamp:
    """Changes whenever a key is added or goes."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _make(path: Path, content: Callable[[], bytes]) -> None:
    if not path.exists():
        write_private(path, content())
