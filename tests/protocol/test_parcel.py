"""Parcels, statements and answers between two peers joined in memory."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol import messages
from farshore_protocol.errors import Malformed, NotAuthentic, OverLimit, ProtocolError, Unsupported
from farshore_protocol.limits import MAX_PARCEL_BYTES
from farshore_protocol.messages import Account, Answer, Claim, Reason, Receipt, Refusal, Refused, Statement, short
from farshore_protocol.parcel import open_answer, open_statement, pack_answer, pack_parcel, parse_parcel
from tests.protocol import peers

STATEMENT = Statement(
    site=peers.SITE,
    incarnation=peers.INCARNATION,
    number=7,
    at_us=1_795_435_200_000_000,
    claims=[Claim(peers.INCARNATION, "boiler", 1200, [1001, 1200], 1_795_435_100_000_000)],
    receipts=[Receipt(peers.INCARNATION, "boiler", 1, 500, Reason.THINNED, 5, "full", ("boiler.hourly", 1, 4))],
    whole=True,
)
ANSWER = Answer(
    hub=b"hub-name",
    life=b"hub-life",
    at_us=1_795_435_200_500_000,
    site=peers.SITE,
    incarnation=peers.INCARNATION,
    number=7,
    accounts=[Account(peers.INCARNATION, "boiler", [501, 1200], [1, 500], 500)],
    held=[peers.EPOCH],
    refusals=[Refusal(bytes(16), Refused.UNKNOWN_EPOCH, "send it along", peers.EPOCH)],
)
HUB_KEYS = {peers.HUB_SIGNING_ID: peers.HUB_SIGNER.public_key()}


def parcel() -> bytes:
    return pack_parcel(STATEMENT, peers.SITE_SIGNER, epochs=[peers.key_epoch()], batches=[peers.sealed().raw])


def answer() -> bytes:
    return pack_answer(ANSWER, peers.HUB_SIGNING_ID, peers.HUB_SIGNER)


def test_a_parcel_brings_the_statement_the_epochs_and_the_batches() -> None:
    read = parse_parcel(parcel())
    assert open_statement(read, peers.SITE_SIGNER.public_key()) == STATEMENT
    assert read.batches == [peers.sealed().raw]
    key = peers.HUB_SEALING.open_epoch(read.epochs[0], peers.SITE_SIGNER.public_key())
    assert key.open(peers.sealed(b"body")) == b"body"


def test_an_answer_brings_what_the_hub_has() -> None:
    assert open_answer(answer(), HUB_KEYS) == ANSWER


def test_an_answer_names_every_batch_that_the_hub_has_for_good() -> None:
    stored, aside = [bytes((each,)) * 16 for each in range(3)], b"aside as a fork."
    said = msgspec.structs.replace(ANSWER, taken=b"".join(map(short, stored)), forked=[aside])
    assert said.here == frozenset([*map(short, stored), short(aside)])
    assert msgspec.structs.replace(ANSWER, taken=b"").here == frozenset()


def test_a_hub_that_is_too_old_to_name_what_it_took_says_nothing_of_it() -> None:
    assert ANSWER.taken is None
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(ANSWER))
    assert messages.ANSWER.decode(msgspec.msgpack.encode(fields[:12])) == ANSWER
    assert ANSWER.here is None


def test_no_changed_byte_of_a_parcel_yields_another_statement_or_key() -> None:
    raw = parcel()
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 0x40
        try:
            read = parse_parcel(bytes(damaged))
            assert open_statement(read, peers.SITE_SIGNER.public_key()) == STATEMENT
            for epoch in read.epochs:
                key = peers.HUB_SEALING.open_epoch(epoch, peers.SITE_SIGNER.public_key())
                assert key.open(peers.sealed(b"body")) == b"body"
        except ProtocolError:
            continue


def test_no_changed_byte_of_an_answer_is_believed() -> None:
    raw = answer()
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 0x01
        with pytest.raises(ProtocolError):
            open_answer(bytes(damaged), HUB_KEYS)


def test_a_statement_of_another_site_is_refused() -> None:
    stranger = msgspec.structs.replace(parse_parcel(parcel()), site="ship-2")
    with pytest.raises(NotAuthentic, match="ship-2"):
        open_statement(stranger, peers.SITE_SIGNER.public_key())
    with pytest.raises(NotAuthentic):
        open_statement(parse_parcel(parcel()), peers.HUB_SIGNER.public_key())


def test_an_answer_by_an_unknown_key_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="not this hub's"):
        open_answer(answer(), {})


def test_an_epoch_sealed_to_another_hub_does_not_open() -> None:
    other = type(peers.HUB_SEALING)(peers.HUB_SEALING.id, bytes(96))
    with pytest.raises(NotAuthentic, match="not sealed to this hub"):
        other.open_epoch(peers.key_epoch(), peers.SITE_SIGNER.public_key())


def test_a_newer_format_is_said_to_be_newer() -> None:
    newer = bytearray(parcel())
    newer[3] = 2
    with pytest.raises(Unsupported, match="parcel format 2"):
        parse_parcel(bytes(newer))
    newer = bytearray(answer())
    newer[3] = 9
    with pytest.raises(Unsupported, match="answer format 9"):
        open_answer(bytes(newer), HUB_KEYS)


def test_a_parcel_over_the_bound_is_not_read() -> None:
    with pytest.raises(OverLimit):
        parse_parcel(b"FSP\x01" + bytes(MAX_PARCEL_BYTES))


def test_fields_that_a_newer_peer_appends_are_ignored() -> None:
    fields = list(msgspec.structs.astuple(STATEMENT))
    longer = msgspec.msgpack.encode([*fields, "a field of the future"])
    assert messages.STATEMENT.decode(longer) == STATEMENT


def test_fields_that_an_older_peer_lacks_have_defaults() -> None:
    shorter = msgspec.msgpack.encode(list(msgspec.structs.astuple(ANSWER))[:7])
    assert messages.ANSWER.decode(shorter).held == []


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_an_error_of_the_protocol(raw: bytes) -> None:
    for prefix in (b"", b"FSP\x01", b"FSA\x01"):
        with pytest.raises(ProtocolError):
            open_answer(prefix + raw, HUB_KEYS)
        try:
            open_statement(parse_parcel(prefix + raw), peers.SITE_SIGNER.public_key())
        except ProtocolError:
            continue
        pytest.fail("random bytes passed for a signed statement")


def test_deep_nesting_is_refused_without_recursion() -> None:
    with pytest.raises(Malformed):
        parse_parcel(b"FSP\x01" + b"\x91" * 100_000)
