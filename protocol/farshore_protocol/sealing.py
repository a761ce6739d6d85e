"""Sealing: batches under the key of an epoch, and the epoch's key sealed to the hub.

A *key epoch* is a random AES-256 key. It is sealed once to the hub's public key with HPKE (RFC 9180, base mode, KEM
ML-KEM-768 + X25519, HKDF-SHA256, AES-256-GCM) and signed by the site (Ed25519, RFC 8032). Batches are AES-256-GCM under
it with a counter nonce. Whoever steals the device after the process ended has no key to anything that was sealed.

HPKE draws its own ephemeral randomness inside the library; every other random byte is handed in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from farshore_protocol.batch import ID_BYTES, BatchHeader, SealedBatch
from farshore_protocol.errors import Malformed, NotAuthentic
from farshore_protocol.messages import KeyEpoch, packed_for_signing

KEY_BYTES: Final = 32
SEALING_SEED_BYTES: Final = 64 + 32
"""A sealing key at rest: the ML-KEM-768 seed, then the X25519 private key."""

_MLKEM_PUBLIC_BYTES: Final = 1184
_BATCH_CONTEXT: Final = b"farshore/batch/v1\0"
_EPOCH_CONTEXT: Final = b"farshore/key-epoch/v1\0"
_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class EpochKey:
    """The plain key of an epoch, in memory only. Seals and opens batches of one site."""

    __slots__ = ("_aead", "_site", "epoch")

    def __init__(self, site: str, epoch: bytes, key: bytes) -> None:
        self.epoch = epoch
        self._site = site.encode()
        self._aead = AESGCM(key)

    def seal(self, header: BatchHeader, body: bytes) -> SealedBatch:
        """Encrypt `body` under this epoch. The caller never uses a header's counter twice."""
        packed = header.pack()
        sealed = self._aead.encrypt(_nonce(header), body, self._associated(packed))
        return SealedBatch(header, packed + sealed, len(packed))

    def open(self, batch: SealedBatch) -> bytes:
        """Decrypt a batch of this site and epoch.

        Raises:
            NotAuthentic: damaged, sealed under another key, or another site's.
        """
        header = batch.raw[: batch.header_bytes]
        try:
            return self._aead.decrypt(_nonce(batch.header), batch.ciphertext, self._associated(header))
        except InvalidTag:
            raise NotAuthentic(f"batch {batch.digest.hex()} does not open under epoch {self.epoch.hex()}") from None

    def _associated(self, header: bytes) -> bytes:
        return _BATCH_CONTEXT + self._site + b"\0" + header


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The private half of whoever things are sealed to. `seed` is 96 bytes: ML-KEM-768 seed and X25519 private key."""

    id: bytes
    seed: bytes = field(repr=False)

    @classmethod
    def of_seed(cls, seed: bytes) -> Self:
        """The key of a seed, named by its public half.

        Raises:
            ValueError: the seed has another length.
        """
        if len(seed) != SEALING_SEED_BYTES:
            raise ValueError(f"a sealing key's seed has {SEALING_SEED_BYTES} bytes, this one {len(seed)}")
        return cls(key_id(cls(bytes(ID_BYTES), seed).public_bytes()), seed)

    def public_bytes(self) -> bytes:
        """The 1,216 bytes that others are given: ML-KEM-768 public key, then X25519 public key."""
        kem, curve = _private_parts(self.seed)
        return kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """What somebody sealed to this key with `seal_to`.

        Raises:
            NotAuthentic: it was sealed to another key or for another purpose, or it is damaged.
        """
        try:
            return _SUITE.decrypt(sealed, _private_key(self.seed), info)
        except (InvalidTag, ValueError):
            raise NotAuthentic(f"it was not sealed to the key {self.id.hex()}") from None

    def open_epoch(self, epoch: KeyEpoch, signed_by: Ed25519PublicKey) -> EpochKey:
        """Recover the key of an epoch that `signed_by`'s owner sealed to this hub.

        Raises:
            NotAuthentic: the signature is not the site's, or it was sealed to another hub.
        """
        check_signature(signed_by, epoch.signature, _EPOCH_CONTEXT + packed_for_signing(epoch))
        try:
            key = self.open(epoch.sealed, _epoch_info(epoch))
        except NotAuthentic:
            raise NotAuthentic(f"key epoch {epoch.id.hex()} was not sealed to this hub's key") from None
        if len(key) != KEY_BYTES:
            raise Malformed(f"the key of epoch {epoch.id.hex()} has {len(key)} bytes")
        return EpochKey(epoch.site, epoch.id, key)


def key_id(public: bytes) -> bytes:
    """The name of a key: 8 bytes of the SHA-256 of its public half."""
    return hashlib.sha256(public).digest()[:ID_BYTES]


def seal_to(public: bytes, plain: bytes, info: bytes) -> bytes:
    """Seal `plain` to the owner of the 1,216 public bytes, for the purpose `info`; 1,136 bytes longer.

    Raises:
        Malformed: `public` is no key.
    """
    return _SUITE.encrypt(plain, _public_key(public), info)


def seal_epoch(
    *,
    site: str,
    epoch: bytes,
    key: bytes,
    created_us: int,
    hub_key: bytes,
    hub_public: bytes,
    signer: Ed25519PrivateKey,
) -> KeyEpoch:
    """Seal a fresh epoch key to the hub and sign it.

    Args:
        site: the site's name.
        epoch: 8 random bytes, the epoch's name.
        key: 32 random bytes.
        created_us: the agent's clock.
        hub_key: the name of the hub's sealing key (8 bytes).
        hub_public: that key's 1,216 public bytes.
        signer: the site's signing key.
    """
    unsigned = KeyEpoch(id=epoch, site=site, created_us=created_us, hub_key=hub_key, sealed=b"", signature=b"")
    sealed = seal_to(hub_public, key, _epoch_info(unsigned))
    return sign_epoch(msgspec.structs.replace(unsigned, sealed=sealed), signer)


def sign_epoch(epoch: KeyEpoch, signer: Ed25519PrivateKey) -> KeyEpoch:
    """The same epoch signed by `signer`, whoever signed it before: a site that has joined anew has a new key."""
    return msgspec.structs.replace(epoch, signature=signer.sign(_EPOCH_CONTEXT + packed_for_signing(epoch)))


def check_sealing_key(raw: bytes) -> None:
    """Check that epochs can be sealed to a hub's public key.

    Raises:
        Malformed: they cannot.
    """
    _public_key(raw)


def check_signature(public: Ed25519PublicKey, signature: bytes, signed: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        NotAuthentic: it does not match.
    """
    try:
        public.verify(signature, signed)
    except InvalidSignature:
        raise NotAuthentic("the signature does not match") from None


def _nonce(header: BatchHeader) -> bytes:
    return header.counter.to_bytes(12, "big")


def _epoch_info(epoch: KeyEpoch) -> bytes:
    return _EPOCH_CONTEXT + epoch.site.encode() + b"\0" + epoch.id


def _private_parts(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return MLKEM768PrivateKey.from_seed_bytes(seed[:64]), X25519PrivateKey.from_private_bytes(seed[64:])


@lru_cache(maxsize=8)
def _private_key(seed: bytes) -> hpke.MLKEM768X25519PrivateKey:
    return hpke.MLKEM768X25519PrivateKey(*_private_parts(seed))


def _public_key(raw: bytes) -> hpke.MLKEM768X25519PublicKey:
    try:
        kem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
        curve = X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:])
    except ValueError as error:
        raise Malformed(f"not a sealing key: {error}") from None
    return hpke.MLKEM768X25519PublicKey(kem, curve)
