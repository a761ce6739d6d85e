"""What crosses a link: batches, parcels, statements, answers, key epochs, and the messages and token of enrolment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from farshore_hub.receive import verify
from farshore_protocol import enrolment, limits, messages, wire
from farshore_protocol.batch import parse_batch
from farshore_protocol.enrolment import HubKey, Membership
from farshore_protocol.errors import ProtocolError
from farshore_protocol.messages import Parcel
from farshore_protocol.parcel import open_answer, open_statement, parse_parcel
from farshore_protocol.ranges import RangeSet
from tests.fuzz import real
from tests.fuzz.target import target
from tests.protocol import peers

_PUBLIC = peers.SITE_SIGNER.public_key()
_STATEMENT_CONTEXT = b"farshore/statement/v1\0"
_ANSWER_CONTEXT = b"farshore/answer/v1\0"
_HUB_KEYS = {peers.HUB_SIGNING_ID: peers.HUB_SIGNER.public_key()}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@target(seeds=lambda: [bytes.fromhex(each["raw"]) for each in real.vector("batch")["batches"]])
def sealed_batch(data: bytes) -> None:
    """A batch has one header, which packs to the same bytes; without the tag it does not open."""
    try:
        batch = parse_batch(data)
    except ProtocolError:
        return
    assert batch.header.pack() == data[: batch.header_bytes]
    assert len(batch.ciphertext) >= 16
    try:
        peers.epoch_key().open(batch)
    except ProtocolError:
        return
    assert data in {bytes.fromhex(each["raw"]) for each in real.vector("batch")["batches"]}, "a forged batch opens"


@target(seeds=lambda: [bytes.fromhex(real.vector("parcel")["parcel"])])
def parcel(data: bytes) -> None:
    """A parcel's envelope is within its counts, and nothing in it is believed without a signature."""
    try:
        read = parse_parcel(data)
    except ProtocolError:
        return
    assert len(read.batches) <= limits.MAX_PARCEL_BATCHES
    assert len(read.epochs) <= limits.MAX_PARCEL_ATTACHMENTS
    _same_again(read, Parcel)
    genuine = parse_parcel(bytes.fromhex(real.vector("parcel")["parcel"]))
    try:
        open_statement(read, _PUBLIC)
    except ProtocolError:
        return
    assert read.statement == genuine.statement, "a forged statement is taken"


@target(seeds=lambda: [parse_parcel(bytes.fromhex(real.vector("parcel")["parcel"])).statement])
def statement(data: bytes) -> None:
    """A signed statement of a hostile site: its names and ranges make sense, or it is refused."""
    signature = peers.SITE_SIGNER.sign(_STATEMENT_CONTEXT + data)
    try:
        read = open_statement(Parcel(peers.SITE, data, signature, [], []), _PUBLIC)
        claims = verify._checked_claims(read)
    except ProtocolError:
        return
    assert len(read.claims) <= limits.MAX_PARCEL_CLAIMS
    assert len(read.receipts) <= limits.MAX_PARCEL_RECEIPTS
    for claim, held in claims:
        assert held.to_wire() == claim.held, "a range set has one form"
        assert held.highest <= limits.MAX_SEQUENCE
    _same_again(read, messages.Statement)


def _answers() -> Iterator[bytes]:
    raw = bytes.fromhex(real.vector("answer")["answer"])
    yield wire.unpack(messages.SIGNED_ANSWER, raw[4:], what="answer", max_bytes=10_000).answer


@target(seeds=_answers)
def answer(data: bytes) -> None:
    """What a hub that went wrong signs: an answer whose range sets have their one form, or an error."""
    signed = messages.SignedAnswer(data, peers.HUB_SIGNING_ID, peers.HUB_SIGNER.sign(_ANSWER_CONTEXT + data))
    try:
        read = open_answer(b"FSA\x01" + wire.pack(signed), _HUB_KEYS)
        for account in read.accounts:
            for ranges in (account.stored, account.receipted, account.wanted):
                assert RangeSet.from_wire(ranges).to_wire() == ranges
    except ProtocolError:
        return
    assert all(len(each) <= messages.SHORT_DIGEST_BYTES for each in read.here or ())
    _same_again(read, messages.Answer)


@target(seeds=lambda: [bytes.fromhex(real.vector("answer")["answer"])])
def signed_answer(data: bytes) -> None:
    """An answer as it comes: only what the hub signed is believed."""
    try:
        read = open_answer(data, _HUB_KEYS)
    except ProtocolError:
        return
    assert read == open_answer(bytes.fromhex(real.vector("answer")["answer"]), _HUB_KEYS), "a forged answer is taken"


@target(seeds=lambda: [bytes.fromhex(real.vector("key_epoch")["message"])])
def key_epoch(data: bytes) -> None:
    """A key epoch that a hostile site has signed opens to a key, or is refused."""
    try:
        read = wire.unpack(messages.KEY_EPOCH, data, what="key epoch", max_bytes=limits.MAX_ENROLMENT_BYTES)
    except ProtocolError:
        return
    _same_again(read, messages.KeyEpoch)
    signed = b"farshore/key-epoch/v1\0" + messages.packed_for_signing(read)
    fields = (read.id, read.site, read.created_us, read.hub_key, read.sealed)
    resigned = messages.KeyEpoch(*fields, signature=peers.SITE_SIGNER.sign(signed))
    try:
        peers.HUB_SEALING.open_epoch(resigned, _PUBLIC)
    except ProtocolError:
        return


@target(seeds=lambda: [real.vector("token")["token"].encode()])
def join_token(data: bytes) -> None:
    """What somebody pastes: a token that is written as it was read, or an error."""
    try:
        read = enrolment.read_token(data.decode(errors="surrogateescape"))
    except ProtocolError:
        return
    assert enrolment.read_token(enrolment.write_token(read)) == read


def csr_pem() -> str:
    """A certificate signing request as a site makes it."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, peers.SITE)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@target(seeds=lambda: [wire.pack(enrolment.EnrolmentRequest(peers.SITE, bytes(16), csr_pem(), bytes(32)))])
def enrolment_request(data: bytes) -> None:
    """What anybody may send to /v1/enrol."""
    _message(data, enrolment.read_enrolment)


@target(seeds=lambda: [wire.pack(enrolment.RenewalRequest(peers.SITE, csr_pem(), bytes(64)))])
def renewal_request(data: bytes) -> None:
    """What anybody may send to /v1/renew."""
    _message(data, enrolment.read_renewal)


def membership_seeds() -> Iterator[bytes]:
    """What a hub answers to an enrolment."""
    signing = [HubKey(peers.HUB_SIGNING_ID, peers.HUB_SIGNER.public_key().public_bytes_raw())]
    sealing = [HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes())]
    yield wire.pack(
        Membership(peers.SITE, b"hub-name", 1_795_435_200_000_000, PEM, PEM, signing, sealing, ["https://hub:8443"])
    )


@target(seeds=membership_seeds)
def membership(data: bytes) -> None:
    """The hub's answer to an enrolment."""
    _message(data, enrolment.read_membership)


def _message(data: bytes, read: Callable[[bytes], Struct]) -> None:
    try:
        found = read(data)
    except ProtocolError:
        return
    assert read(wire.pack(found)) == found
    assert len(data) <= limits.MAX_ENROLMENT_BYTES


def _same_again(read: Struct, kind: type[Struct]) -> None:
    again = wire.unpack(wire.decoder_of(kind), wire.pack(read), what="message", max_bytes=2**30)
    assert again == read
