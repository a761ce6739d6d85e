"""A site and a hub with fixed keys, for the protocol's tests and vectors. Not secret, never used elsewhere."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farshore_protocol.batch import BatchHeader, Kind, SealedBatch
from farshore_protocol.messages import KeyEpoch
from farshore_protocol.sealing import EpochKey, SealingKey, seal_epoch

SITE = "ship-1"
INCARNATION = bytes.fromhex("a1a2a3a4a5a6a7a8")
EPOCH = bytes.fromhex("e1e2e3e4e5e6e7e8")
EPOCH_SECRET = hashlib.sha256(b"epoch key of the tests").digest()
SITE_SIGNER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"site key of the tests").digest())
HUB_SIGNER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"hub key of the tests").digest())
HUB_SIGNING_ID = bytes.fromhex("5151515151515151")
HUB_SEALING = SealingKey(bytes.fromhex("6161616161616161"), hashlib.shake_256(b"sealing key of the tests").digest(96))


def epoch_key(site: str = SITE, epoch: bytes = EPOCH) -> EpochKey:
    return EpochKey(site, epoch, EPOCH_SECRET)


def key_epoch(site: str = SITE) -> KeyEpoch:
    return seal_epoch(
        site=site,
        epoch=EPOCH,
        key=EPOCH_SECRET,
        created_us=1_795_435_200_000_000,
        hub_key=HUB_SEALING.id,
        hub_public=HUB_SEALING.public_bytes(),
        signer=SITE_SIGNER,
    )


def header(first: int = 1, count: int = 3, counter: int = 0, stream: str = "boiler") -> BatchHeader:
    return BatchHeader(Kind.RECORDS, INCARNATION, EPOCH, counter, stream, first, count)


def sealed(body: bytes = b"body", first: int = 1, count: int = 3) -> SealedBatch:
    return epoch_key().seal(header(first, count), body)
