"""Sealed batches: the header, the seal, and what a hostile peer can do with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.batch import BatchHeader, Kind, parse_batch
from farshore_protocol.errors import Malformed, NotAuthentic, OverLimit, ProtocolError, Unsupported
from farshore_protocol.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_SEQUENCE
from tests.protocol import peers

ids = st.binary(min_size=8, max_size=8)
headers = st.builds(
    BatchHeader,
    kind=st.just(Kind.RECORDS),
    incarnation=ids,
    epoch=ids,
    counter=st.integers(0, MAX_SEQUENCE),
    stream=st.sampled_from(["boiler", "b", "wind_speed-2.hourly", "x" * 63]),
    first=st.integers(1, MAX_SEQUENCE - MAX_BATCH_RECORDS),
    count=st.integers(1, MAX_BATCH_RECORDS),
    dictionary=st.none() | ids,
)


@given(headers, st.binary(max_size=64))
def test_a_batch_comes_back_as_it_was_sealed(header: BatchHeader, body: bytes) -> None:
    key = peers.epoch_key()
    batch = key.seal(header, body)
    read = parse_batch(batch.raw)
    assert (read.header, read.digest, key.open(read)) == (header, batch.digest, body)


def test_header_and_tag_cost_at_most_64_bytes() -> None:
    costliest = BatchHeader(
        Kind.RECORDS, peers.INCARNATION, peers.EPOCH, 2**14 - 1, "boiler", 2**28 - 1, 10_000, bytes(8)
    )
    assert len(peers.epoch_key().seal(costliest, b"").raw) <= 64


def test_every_flipped_bit_is_noticed() -> None:
    batch = peers.sealed(b"three records")
    for position in range(len(batch.raw)):
        for bit in range(8):
            damaged = bytearray(batch.raw)
            damaged[position] ^= 1 << bit
            with pytest.raises(ProtocolError):
                peers.epoch_key().open(parse_batch(bytes(damaged)))


def test_every_cut_is_noticed() -> None:
    batch = peers.sealed(b"three records")
    for length in range(len(batch.raw)):
        with pytest.raises((Malformed, NotAuthentic)):
            peers.epoch_key().open(parse_batch(batch.raw[:length]))


def test_another_site_cannot_pass_it_off_as_its_own() -> None:
    with pytest.raises(NotAuthentic):
        peers.epoch_key(site="ship-2").open(peers.sealed())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_an_error_of_the_protocol(raw: bytes) -> None:
    try:
        batch = parse_batch(raw)
    except ProtocolError:
        return
    assert batch.header.pack() == raw[: batch.header_bytes]


def test_a_newer_version_and_an_unknown_kind_say_that_this_side_is_older() -> None:
    raw = bytearray(peers.sealed().raw)
    raw[0] = 2
    with pytest.raises(Unsupported, match="format 2 is not known here"):
        parse_batch(bytes(raw))
    raw[0], raw[1] = 1, 9
    with pytest.raises(Unsupported, match="kind 9 is not known here"):
        parse_batch(bytes(raw))


@pytest.mark.parametrize(
    ("first", "count", "error"),
    [(0, 3, Malformed), (1, 0, Malformed), (MAX_SEQUENCE, 2, Malformed), (1, MAX_BATCH_RECORDS + 1, OverLimit)],
)
def test_impossible_sequences_are_refused(first: int, count: int, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        parse_batch(peers.sealed(first=first, count=count).raw)


def test_a_dictionary_has_no_sequences() -> None:
    header = BatchHeader(Kind.DICTIONARY, peers.INCARNATION, peers.EPOCH, 0, "boiler", 0, 0)
    assert parse_batch(peers.epoch_key().seal(header, b"words").raw).header == header
    claiming = BatchHeader(Kind.DICTIONARY, peers.INCARNATION, peers.EPOCH, 0, "boiler", 1, 1)
    with pytest.raises(Malformed, match="dictionary claims sequences"):
        parse_batch(peers.epoch_key().seal(claiming, b"words").raw)


def test_a_batch_over_the_bound_is_not_looked_at() -> None:
    with pytest.raises(OverLimit, match=str(MAX_BATCH_BYTES)):
        parse_batch(bytes(MAX_BATCH_BYTES + 1))
