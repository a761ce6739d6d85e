"""How a site joins a hub: the one-use token, the request with the site's keys, and the answer with its certificate.

The token carries the hub's addresses and the SHA-256 of the hub's CA certificate, so that the very first connection can
be checked: the agent fetches the CA certificate, compares its hash, and trusts nothing else from then on.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final

from msgspec import Meta, Struct

from farshore_protocol import limits, wire
from farshore_protocol.errors import Malformed, OverLimit, ProtocolError, Unsupported
from farshore_protocol.messages import Count, Id, Name, Signature, TimeUs

TOKEN_PREFIX: Final = "fs1."  # noqa: S105 - it marks the kind, it is no secret
SECRET_BYTES: Final = 16
RENEWAL_CONTEXT: Final = b"farshore/renewal/v1\0"

Pem = Annotated[str, Meta(max_length=8192)]


class JoinToken(Struct, frozen=True, array_like=True):
    """What `farshore-hub site add` prints. Whoever has it can become that site, once."""

    addresses: Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(min_length=1, max_length=8)]
    site: Name
    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    ca_sha256: Annotated[bytes, Meta(min_length=32, max_length=32)]


class EnrolmentRequest(Struct, frozen=True, array_like=True):
    """The site's new keys. `csr` is PEM for the TLS key; `signing_key` the 32 bytes of its Ed25519 public key."""

    site: Name
    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    csr: Pem
    signing_key: Annotated[bytes, Meta(min_length=32, max_length=32)]


class RenewalRequest(Struct, frozen=True, array_like=True):
    """A new certificate for a site that may have been offline past its old one's end.

    `signature` is by the site's signing key over `RENEWAL_CONTEXT`, the site's name, a zero byte and the CSR.
    A replay gives nobody anything: the certificate is for the key in the CSR.
    """

    site: Name
    csr: Pem
    signature: Signature


class HubKey(Struct, frozen=True, array_like=True):
    """A public key of the hub and its name."""

    id: Id
    public: Annotated[bytes, Meta(max_length=2048)]


class Membership(Struct, frozen=True, array_like=True):
    """The hub's answer to an enrolment or a renewal.

    Attributes:
        site: the site's name.
        hub: the hub's name (8 bytes).
        at_us: the hub's clock.
        certificate: PEM, the site's client certificate.
        ca: PEM, the CA certificate that the hub's own is of.
        signing_keys: the Ed25519 keys that the hub's answers may be signed with, newest first.
        sealing_keys: the keys that epochs may be sealed to, newest first.
        addresses: where the hub can be reached.
        keyring: number of the hub's newest keyring, see `keyring`; 0: it never made another one.
        authorities: PEM, every CA certificate that the hub's own may be of; empty: `ca` alone.
    """

    site: Name
    hub: Id
    at_us: TimeUs
    certificate: Pem
    ca: Pem
    signing_keys: Annotated[list[HubKey], Meta(min_length=1, max_length=8)]
    sealing_keys: Annotated[list[HubKey], Meta(min_length=1, max_length=8)]
    addresses: Annotated[list[str], Meta(max_length=8)]
    keyring: Count = 0
    authorities: Annotated[list[Pem], Meta(max_length=limits.MAX_KEYRING_AUTHORITIES)] = []


_TOKEN: Final = wire.decoder_of(JoinToken)
_REQUEST: Final = wire.decoder_of(EnrolmentRequest)
_RENEWAL: Final = wire.decoder_of(RenewalRequest)
_MEMBERSHIP: Final = wire.decoder_of(Membership)


def write_token(token: JoinToken) -> str:
    """The token as one word that can be pasted into a shell."""
    return TOKEN_PREFIX + base64.urlsafe_b64encode(wire.pack(token)).rstrip(b"=").decode()


def read_token(text: str) -> JoinToken:
    """Read a token that somebody pasted; white space around it does not matter.

    Raises:
        Unsupported: made by a newer hub.
        Malformed, OverLimit: cut short or not a token.
    """
    word = text.strip()
    if len(word) > limits.MAX_TOKEN_CHARS:
        raise OverLimit(f"a join token has at most {limits.MAX_TOKEN_CHARS} characters")
    prefix, dot, body = word.partition(".")
    if not dot or not prefix.startswith("fs"):
        raise Malformed("this is not a join token: it starts with 'fs1.', as 'farshore-hub site add NAME' prints it")
    if prefix + dot != TOKEN_PREFIX:
        raise Unsupported(f"join tokens of kind {prefix!r} are not known here: upgrade this agent")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        return wire.unpack(_TOKEN, raw, what="join token", max_bytes=limits.MAX_TOKEN_CHARS)
    except (binascii.Error, ValueError, ProtocolError):
        raise Malformed("the join token is damaged: was it copied whole?") from None


def read_enrolment(raw: bytes) -> EnrolmentRequest:
    """Read an enrolment request.

    Raises:
        Malformed, OverLimit: as their texts say.
    """
    return wire.unpack(_REQUEST, raw, what="enrolment request", max_bytes=limits.MAX_ENROLMENT_BYTES)


def read_renewal(raw: bytes) -> RenewalRequest:
    """Read a renewal request.

    Raises:
        Malformed, OverLimit: as their texts say.
    """
    return wire.unpack(_RENEWAL, raw, what="renewal request", max_bytes=limits.MAX_ENROLMENT_BYTES)


def read_membership(raw: bytes) -> Membership:
    """Read the hub's answer to an enrolment or renewal.

    Raises:
        Malformed, OverLimit: as their texts say.
    """
    return wire.unpack(_MEMBERSHIP, raw, what="membership", max_bytes=limits.MAX_ENROLMENT_BYTES)


def signed_renewal(site: str, csr: str) -> bytes:
    """The bytes that a renewal request's signature covers."""
    return RENEWAL_CONTEXT + site.encode() + b"\0" + csr.encode()
