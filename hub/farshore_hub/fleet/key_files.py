"""The hub's private keys as files, one for each, and which of them is which.

The first keys are `authority.pem`, `signing.pem` and `sealing.seed`; those that come after them bear their own name, as
in `signing-4f0c….pem`. The file `chain` holds the signed keyrings; the newest says what is in use. Until there is
one, it is the first keys.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_hub.fleet.ca import CertificateAuthority, private_pem
from farshore_protocol.batch import ID_BYTES
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.errors import ProtocolError
from farshore_protocol.keyring import Keyring, read_keyring
from farshore_protocol.messages import PackedKeyring
from farshore_protocol.sealing import SealingKey, key_id

HUB: Final = "hub.id"
TLS: Final = "tls.pem"
CHAIN: Final = "chain"
AUTHORITY: Final = "authority.pem"
SIGNING: Final = "signing.pem"
SEALING: Final = "sealing.seed"

AnyKey = Signer | SealingKey | CertificateAuthority
K = TypeVar("K")

_CHAIN: Final = msgspec.msgpack.Decoder(list[PackedKeyring])


class Kind(enum.StrEnum):
    """What a key is for."""

    SIGNING = "signing"
    """Answers, orders, statements of completeness, and the next keys."""
    SEALING = "sealing"
    """What sites and the hub itself seal to the hub."""
    CA = "ca"
    """Certificates of the hub, its brokers and its sites."""


@dataclass(frozen=True, slots=True)
class KeyFile(Generic[K]):
    """A key and where it lies."""

    path: Path
    kind: Kind
    id: bytes
    key: K


@dataclass(frozen=True, slots=True)
class PrivateKeys:
    """What a hub has at one moment.

    Attributes:
        chain: the signed keyrings, in their order.
        keyring: the newest, or what the first keys are, with number 0, which no other has.
        signing: in the order of the keyring.
        sealing: every one that is there, the newest first.
        authorities: in the order of the keyring.
    """

    chain: tuple[bytes, ...]
    keyring: Keyring
    signing: tuple[Signer, ...]
    sealing: tuple[SealingKey, ...]
    authorities: tuple[CertificateAuthority, ...]


def read_keys(folder: Path) -> PrivateKeys:
    """Read all keys.

    Raises:
        OSError, ValueError, TypeError: one that is in use is missing or cannot be read.
    """
    hub = bytes.fromhex((folder / HUB).read_text())
    chain, files = _chain(folder), key_files(folder)
    signing = {each.id: each.key for each in files if isinstance(each.key, Signer)}
    sealing = {each.id: each.key for each in files if isinstance(each.key, SealingKey)}
    authorities = {each.id: each.key for each in files if isinstance(each.key, CertificateAuthority)}
    keyring = newest_keyring(chain) if chain else _first_keyring(hub, folder)
    try:
        newest = sealing[keyring.sealing.id]
        older = [sealing[each] for each in keyring.opened]
        return PrivateKeys(
            chain,
            keyring,
            tuple(signing[each.id] for each in keyring.signing),
            tuple(dict.fromkeys((newest, *older, *sealing.values()))),
            tuple(authorities[ca_name(each)] for each in keyring.authorities),
        )
    except KeyError as error:
        raise ValueError(f"the key {error.args[0].hex()}, which is in use, is not there") from None


def key_files(folder: Path) -> list[KeyFile[AnyKey]]:
    """Every key that is there, in use or not; of each kind the first one first.

    Raises:
        OSError, ValueError, TypeError: one cannot be read.
    """
    readers: dict[str, Callable[[Path], KeyFile[Any]]]
    readers = {AUTHORITY: _authority, SIGNING: _signer, SEALING: _sealing}
    return [read(path) for name, read in readers.items() for path in _those(folder, name)]


def packed_chain(chain: Sequence[bytes]) -> bytes:
    """What is in the file of signed keyrings."""
    return msgspec.msgpack.encode(list(chain))


def public_signing(key: Ed25519PrivateKey) -> HubKey:
    """As sites are told."""
    public = key.public_key().public_bytes_raw()
    return HubKey(key_id(public), public)


def public_sealing(key: SealingKey) -> HubKey:
    """As sites are told."""
    return HubKey(key.id, key.public_bytes())


def file_of(file: str, key: bytes) -> str:
    """The file name of a key that is not the first of its kind."""
    stem, dot, suffix = file.partition(".")
    return f"{stem}-{key.hex()}{dot}{suffix}"


def authority_pem(authority: CertificateAuthority) -> bytes:
    """What is in the file of a certificate authority; secret."""
    return private_pem(authority.key) + authority.pem


def ca_name(pem: str) -> bytes:
    """What a certificate authority is called: 8 bytes of the hash of its certificate."""
    return _name_of_ca(x509.load_pem_x509_certificate(pem.encode()))


def read_chain(raw: bytes) -> tuple[bytes, ...]:
    """The signed keyrings that are in such a file.

    Raises:
        ValueError: it holds something else.
    """
    try:
        return tuple(_CHAIN.decode(raw))
    except msgspec.MsgspecError as error:
        raise ValueError(f"{CHAIN}: {error}") from None


def _chain(folder: Path) -> tuple[bytes, ...]:
    try:
        return read_chain((folder / CHAIN).read_bytes())
    except FileNotFoundError:
        return ()


def newest_keyring(chain: Sequence[bytes]) -> Keyring:
    """What the last of them says.

    Raises:
        ValueError: it cannot be read, or there is none.
    """
    try:
        return read_keyring(chain[-1])
    except (ProtocolError, IndexError) as error:
        raise ValueError(f"{CHAIN}: {error}") from None


def _first_keyring(hub: bytes, folder: Path) -> Keyring:
    signer, sealing, authority = _signer(folder / SIGNING), _sealing(folder / SEALING), _authority(folder / AUTHORITY)
    signing = [public_signing(signer.key.key)]
    return Keyring(hub, 0, 0, signing, public_sealing(sealing.key), [], [authority.key.pem.decode()])


def _those(folder: Path, file: str) -> Sequence[Path]:
    stem, _, suffix = file.partition(".")
    first = folder / file
    return [*([first] if first.exists() else []), *sorted(folder.glob(f"{stem}-*.{suffix}"))]


def _authority(path: Path) -> KeyFile[CertificateAuthority]:
    pem = path.read_bytes()
    key, certificate = serialization.load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path.name} holds no P-256 key")
    return KeyFile(path, Kind.CA, _name_of_ca(certificate), CertificateAuthority(certificate, key))


def _signer(path: Path) -> KeyFile[Signer]:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path.name} holds no Ed25519 key")
    name = public_signing(key).id
    return KeyFile(path, Kind.SIGNING, name, Signer(name, key))


def _sealing(path: Path) -> KeyFile[SealingKey]:
    key = SealingKey.of_seed(bytes.fromhex(path.read_text()))
    return KeyFile(path, Kind.SEALING, key.id, key)


def _name_of_ca(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())[:ID_BYTES]
