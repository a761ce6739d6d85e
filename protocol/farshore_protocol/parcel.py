"""Parcels and answers as bytes: the same over HTTPS, MQTT and on a stick.

parcel = "FSP" version(1 byte) MessagePack(messages.Parcel)
answer = "FSA" version(1 byte) MessagePack(messages.SignedAnswer)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from farshore_protocol import messages, wire
from farshore_protocol.envelope import body_of
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.limits import MAX_ANSWER_BYTES, MAX_PARCEL_BYTES, MAX_STATEMENT_BYTES
from farshore_protocol.messages import Answer, KeyEpoch, Parcel, SignedAnswer, Statement
from farshore_protocol.sealing import check_signature

VERSION: Final = 1
PARCEL_TYPE: Final = "application/vnd.farshore.parcel"
ANSWER_TYPE: Final = "application/vnd.farshore.answer"

_PARCEL_MAGIC: Final = b"FSP"
_ANSWER_MAGIC: Final = b"FSA"
_STATEMENT_CONTEXT: Final = b"farshore/statement/v1\0"
_ANSWER_CONTEXT: Final = b"farshore/answer/v1\0"


def pack_parcel(
    statement: Statement,
    signer: Ed25519PrivateKey,
    *,
    epochs: list[KeyEpoch],
    batches: list[bytes],
    report: bytes = b"",
) -> bytes:
    """Sign a statement and pack it with its batches and the site's report."""
    packed = wire.pack(statement)
    signature = signer.sign(_STATEMENT_CONTEXT + packed)
    parcel = Parcel(statement.site, packed, signature, epochs, batches, report)
    return _PARCEL_MAGIC + bytes((VERSION,)) + wire.pack(parcel)


def parse_parcel(raw: bytes) -> Parcel:
    """Read a parcel's envelope. Nothing in it is trusted yet; see `open_statement`.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    body = body_of(raw, _PARCEL_MAGIC, VERSION, what="parcel", max_bytes=MAX_PARCEL_BYTES)
    return wire.unpack(messages.PARCEL, body, what="parcel", max_bytes=MAX_PARCEL_BYTES)


def open_statement(parcel: Parcel, signed_by: Ed25519PublicKey) -> Statement:
    """The statement of a parcel, once its signature is found to be the site's.

    Raises:
        NotAuthentic: the signature is not that site's, or the statement is another site's.
        Malformed, OverLimit: the statement cannot be read.
    """
    check_signature(signed_by, parcel.signature, _STATEMENT_CONTEXT + parcel.statement)
    statement = wire.unpack(messages.STATEMENT, parcel.statement, what="statement", max_bytes=MAX_STATEMENT_BYTES)
    if statement.site != parcel.site:
        raise NotAuthentic(f"the parcel is from {parcel.site}, its statement from {statement.site}")
    return statement


def pack_answer(answer: Answer, key: bytes, signer: Ed25519PrivateKey, chain: Sequence[bytes] = ()) -> bytes:
    """Sign and pack an answer with the hub's signing key named `key`, and the keyrings that its site lacks."""
    packed = wire.pack(answer)
    signed = SignedAnswer(packed, key, signer.sign(_ANSWER_CONTEXT + packed), list(chain))
    return _ANSWER_MAGIC + bytes((VERSION,)) + wire.pack(signed)


def parse_answer(raw: bytes) -> SignedAnswer:
    """Read an answer's envelope. Nothing in it is trusted yet; see `open_signed`.

    Raises:
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    body = body_of(raw, _ANSWER_MAGIC, VERSION, what="answer", max_bytes=MAX_ANSWER_BYTES)
    return wire.unpack(messages.SIGNED_ANSWER, body, what="answer", max_bytes=MAX_ANSWER_BYTES)


def open_answer(raw: bytes, keys: Mapping[bytes, Ed25519PublicKey]) -> Answer:
    """Check and read an answer; `parse_answer` and `open_signed` in one.

    Raises:
        NotAuthentic: signed by none of `keys`.
        OverLimit, Unsupported, Malformed: as their texts say.
    """
    return open_signed(parse_answer(raw), keys)


def open_signed(signed: SignedAnswer, keys: Mapping[bytes, Ed25519PublicKey]) -> Answer:
    """The answer in an envelope, once its signature is found to be of one of the hub's `keys`, which are by name.

    Raises:
        NotAuthentic: signed by none of `keys`.
        OverLimit, Malformed: the answer cannot be read.
    """
    key = keys.get(signed.key)
    if key is None:
        raise NotAuthentic(f"the answer is signed by key {signed.key.hex()}, which is not this hub's")
    check_signature(key, signed.signature, _ANSWER_CONTEXT + signed.answer)
    return wire.unpack(messages.ANSWER, signed.answer, what="answer", max_bytes=MAX_ANSWER_BYTES)
