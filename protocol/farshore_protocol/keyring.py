"""The hub's public keys as it announces them: a chain of signed keyrings, each signed with a key of the one before.

keyring = "FSK" version(1 byte) MessagePack(SignedKeyring)

A keyring proves itself, so it may come by any road and in any message. Whoever missed some follows those that it is
given, one after the other; what it cannot follow it passes over. An older one never takes the place of a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from farshore_protocol import wire
from farshore_protocol.enrolment import HubKey, Pem
from farshore_protocol.envelope import body_of
from farshore_protocol.errors import Malformed, NotAuthentic, OverLimit, ProtocolError
from farshore_protocol.limits import MAX_CHAIN_KEYRINGS, MAX_KEYRING_AUTHORITIES, MAX_KEYRING_BYTES, MAX_KEYRING_KEYS
from farshore_protocol.messages import Id, PackedKeyring, Sequence, Signature, TimeUs
from farshore_protocol.sealing import check_sealing_key, check_signature, key_id

VERSION: Final = 1

_MAGIC: Final = b"FSK"
_CONTEXT: Final = b"farshore/keyring/v1\0"

Signers = Mapping[bytes, Ed25519PublicKey]


class Keyring(Struct, frozen=True, array_like=True):
    """The keys of a hub from one moment on, until the next keyring.

    Attributes:
        hub: whose.
        number: higher than that of every earlier one of this hub.
        made_us: the hub's clock.
        signing: what answers, orders and later keyrings may be signed with, newest first. The last one signs: the
            others were announced, so that everybody knows them when their turn comes.
        sealing: what is sealed to the hub from now on.
        opened: names of older sealing keys that the hub still has.
        authorities: CA certificates, PEM, newest first. The hub's own certificate is of the last one.
    """

    hub: Id
    number: Sequence
    made_us: TimeUs
    signing: Annotated[list[HubKey], Meta(min_length=1, max_length=MAX_KEYRING_KEYS)]
    sealing: HubKey
    opened: Annotated[list[Id], Meta(max_length=256)]
    authorities: Annotated[list[Pem], Meta(min_length=1, max_length=MAX_KEYRING_AUTHORITIES)]

    @property
    def signers(self) -> dict[bytes, Ed25519PublicKey]:
        """The signing keys by name."""
        return {each.id: Ed25519PublicKey.from_public_bytes(each.public) for each in self.signing}


class SignedKeyring(Struct, frozen=True, array_like=True):
    """A packed `Keyring`, and the signature with a key of the one before it."""

    keyring: Annotated[bytes, Meta(max_length=MAX_KEYRING_BYTES)]
    key: Id
    signature: Signature


class Chain(Struct, frozen=True, array_like=True):
    """Signed keyrings of one hub, in the order of their numbers."""

    keyrings: Annotated[list[PackedKeyring], Meta(max_length=MAX_CHAIN_KEYRINGS)]


def pack_keyring(keyring: Keyring, signer: Ed25519PrivateKey) -> bytes:
    """Sign and pack a keyring.

    Raises:
        OverLimit: it would be longer than `MAX_KEYRING_BYTES`.
    """
    packed = wire.pack(keyring)
    signed = SignedKeyring(packed, key_id(signer.public_key().public_bytes_raw()), signer.sign(_CONTEXT + packed))
    raw = _MAGIC + bytes((VERSION,)) + wire.pack(signed)
    if len(raw) > MAX_KEYRING_BYTES:
        raise OverLimit(f"a keyring may have {MAX_KEYRING_BYTES} bytes, this one has {len(raw)}")
    return raw


def read_keyring(raw: bytes) -> Keyring:
    """What a keyring says. Not to be believed before `open_keyring`, unless it comes from where only the hub writes.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return _keyring(_signed(raw))


def open_keyring(raw: bytes, hub: bytes, signers: Signers) -> Keyring:
    """Check and read a keyring of `hub`. Whether it is newer the caller has to see.

    Raises:
        NotAuthentic: of another hub, or signed by none of `signers`.
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    signed = _signed(raw)
    signer = signers.get(signed.key)
    if signer is None:
        raise NotAuthentic(f"a keyring is signed by the key {signed.key.hex()}, which is not known here")
    check_signature(signer, signed.signature, _CONTEXT + signed.keyring)
    keyring = _keyring(signed)
    if keyring.hub != hub:
        raise NotAuthentic(f"a keyring is of the hub {keyring.hub.hex()}, not of {hub.hex()}")
    check_sealing_key(keyring.sealing.public)
    for each in keyring.signing:
        _check_signing_key(each)
    return keyring


def follow(chain: Iterable[bytes], *, hub: bytes, number: int, signers: Signers) -> Keyring | None:
    """The newest keyring that the chain leads to; None where it leads to none that is newer.

    Args:
        chain: keyrings in the order of their numbers, as they came, from whomever.
        hub: the hub's id.
        number: of the keyring that is known.
        signers: its signing keys by name.
    """
    newest: Keyring | None = None
    for raw in chain:
        try:
            if read_keyring(raw).number > number:
                newest = open_keyring(raw, hub, signers)
                number, signers = newest.number, newest.signers
        except ProtocolError:
            continue
    return newest


def pack_chain(keyrings: Iterable[bytes]) -> bytes:
    """Keyrings as one message."""
    return wire.pack(Chain(list(keyrings)))


def read_chain(raw: bytes) -> list[bytes]:
    """The keyrings of such a message.

    Raises:
        OverLimit, Malformed: as their texts say.
    """
    most = (MAX_KEYRING_BYTES + 8) * MAX_CHAIN_KEYRINGS
    return wire.unpack(_CHAIN, raw, what="chain of keyrings", max_bytes=most).keyrings


_KEYRING: Final = wire.decoder_of(Keyring)
_SIGNED: Final = wire.decoder_of(SignedKeyring)
_CHAIN: Final = wire.decoder_of(Chain)


def _check_signing_key(key: HubKey) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public)
    except ValueError as error:
        raise Malformed(f"not a signing key: {error}") from None


def _signed(raw: bytes) -> SignedKeyring:
    body = body_of(raw, _MAGIC, VERSION, what="keyring", max_bytes=MAX_KEYRING_BYTES)
    return wire.unpack(_SIGNED, body, what="keyring", max_bytes=MAX_KEYRING_BYTES)


def _keyring(signed: SignedKeyring) -> Keyring:
    return wire.unpack(_KEYRING, signed.keyring, what="keyring", max_bytes=MAX_KEYRING_BYTES)
