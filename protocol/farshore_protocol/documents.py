"""Documents between a hub and one site: sealed to the receiver, signed by the sender, the same bytes on every road.

document = magic(3 bytes) version(1 byte) MessagePack(Sealed)

A document is sealed (HPKE) and signed over the ciphertext (Ed25519), both bound to its kind and its site. Whoever
carries it can hold it up, hand it over twice, or hand over an older one; he reads nothing and makes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from farshore_protocol import wire
from farshore_protocol.enrolment import HubKey
from farshore_protocol.envelope import body_of
from farshore_protocol.errors import NotAuthentic, OverLimit
from farshore_protocol.limits import MAX_ORDER_BYTES, MAX_ORDER_KEYRINGS, MAX_REPORT_BYTES
from farshore_protocol.messages import Id, Name, PackedKeyring, Signature
from farshore_protocol.sealing import SealingKey, check_signature, seal_to


class Sealed(Struct, frozen=True, array_like=True):
    """A message that only one can read, and that only one can have made.

    Attributes:
        site: whose document it is.
        sealed_to: name of the receiver's sealing key.
        signed_by: name of the sender's signing key.
        sealed: the packed message under HPKE; its `info` is the context, the site and a zero byte.
        signature: over the context, the site, a zero byte and `sealed`.
        chain: of the hub's documents: its newest keyrings, for a site that does not know `signed_by`; each proves
            itself, see `keyring`.
    """

    site: Name
    sealed_to: Id
    signed_by: Id
    sealed: Annotated[bytes, Meta(max_length=max(MAX_ORDER_BYTES, MAX_REPORT_BYTES))]
    signature: Signature
    chain: Annotated[list[PackedKeyring], Meta(max_length=MAX_ORDER_KEYRINGS)] = []


_SEALED: Final = wire.decoder_of(Sealed)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private signing key and its name."""

    id: bytes
    key: Ed25519PrivateKey


class Message(Struct, frozen=True, array_like=True):
    """What is in a document begins with the hub and the site that it is between."""

    hub: Id
    site: Name


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Kind(Generic[M]):
    """A kind of document.

    Attributes:
        what: the word for it.
        magic: what it begins with.
        version: of its format.
        context: what seal and signature are bound to, so that no kind can be taken for another.
        max_bytes: of the whole.
    """

    what: str
    magic: bytes
    version: int
    context: bytes
    decoder: msgspec.msgpack.Decoder[M]
    max_bytes: int

    def pack(self, message: M, signer: Signer, to: HubKey, chain: Sequence[bytes] = ()) -> bytes:
        """Seal a message to its receiver and sign it; the newest keyrings of `chain` go with it.

        Raises:
            Malformed: `to` is no key.
            OverLimit: it would be longer than `max_bytes`.
        """
        bound = self._bound(message.site)
        sealed = seal_to(to.public, wire.pack(message), bound)
        whole = Sealed(message.site, to.id, signer.id, sealed, signer.key.sign(bound + sealed))
        raw = self._packed(whole, chain)
        if len(raw) > self.max_bytes:
            raise OverLimit(f"the {self.what} has {len(raw)} bytes, the bound is {self.max_bytes}")
        return raw

    def sign(self, raw: bytes, signer: Signer, chain: Sequence[bytes] = ()) -> bytes:
        """The same sealed document signed by `signer`, whose owner has made it, whatever key it was signed with.

        Raises:
            OverLimit, Unsupported, Malformed: as their texts say.
        """
        envelope = self.envelope(raw)
        signature = signer.key.sign(self._bound(envelope.site) + envelope.sealed)
        return self._packed(msgspec.structs.replace(envelope, signed_by=signer.id, signature=signature), chain)

    def envelope(self, raw: bytes) -> Sealed:
        """What can be read without a key, and is not to be believed before `open`.

        Raises:
            OverLimit, Unsupported, Malformed: as their texts say.
        """
        body = body_of(raw, self.magic, self.version, what=self.what, max_bytes=self.max_bytes)
        return wire.unpack(_SEALED, body, what=self.what, max_bytes=self.max_bytes)

    def open(
        self,
        raw: bytes,
        *,
        hub: bytes,
        site: str,
        keys: Sequence[SealingKey],
        signers: Mapping[bytes, Ed25519PublicKey],
    ) -> M:
        """Check and read a document between that hub and that site. Whether it is new the caller has to see.

        Args:
            raw: as it came.
            hub: its id.
            site: its name.
            keys: the receiver's sealing keys.
            signers: the sender's signing keys by name.

        Raises:
            NotAuthentic: of or for another hub or site, or made by somebody else.
            OverLimit, Unsupported, Malformed: as their texts say.
        """
        message = self._opened(self.envelope(raw), keys, signers)
        if message.hub != hub:
            raise NotAuthentic(f"the {self.what} names the hub {message.hub.hex()}, and not {hub.hex()}")
        if message.site != site:
            raise NotAuthentic(f"the {self.what} names the site {message.site}, and not {site}")
        return message

    def _opened(self, envelope: Sealed, keys: Sequence[SealingKey], signers: Mapping[bytes, Ed25519PublicKey]) -> M:
        bound = self._bound(envelope.site)
        signer = signers.get(envelope.signed_by)
        if signer is None:
            raise NotAuthentic(f"it is signed by the key {envelope.signed_by.hex()}, which is not known here")
        check_signature(signer, envelope.signature, bound + envelope.sealed)
        key = next((each for each in keys if each.id == envelope.sealed_to), None)
        if key is None:
            raise NotAuthentic(f"it is sealed to the key {envelope.sealed_to.hex()}, which is not here")
        plain = key.open(envelope.sealed, bound)
        return wire.unpack(self.decoder, plain, what=self.what, max_bytes=len(plain))

    def _packed(self, whole: Sealed, chain: Sequence[bytes]) -> bytes:
        """With as many of the newest keyrings as find room; with the site's next parcel come all that it lacks."""
        carried = list(chain[-MAX_ORDER_KEYRINGS:])
        while True:
            packed = wire.pack(msgspec.structs.replace(whole, chain=carried))
            raw = self.magic + bytes((self.version,)) + packed
            if not carried or len(raw) <= self.max_bytes:
                return raw
            carried = carried[1:]

    def _bound(self, site: str) -> bytes:
        return self.context + site.encode() + b"\0"
