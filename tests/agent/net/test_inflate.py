"""Compressed bodies: what comes out, and that a bomb stays a small body."""

from __future__ import annotations

import gzip
import resource
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.net.inflate import inflate
from farshore_agent.net.messages import HttpError

MIB = 1024 * 1024
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("content", [b"", b"a", b"line\n" * 5000])
def test_a_body_comes_out_as_it_went_in(encoding: str, content: bytes) -> None:
    assert inflate(PACKERS[encoding](content), encoding, max_bytes=len(content)) == content


def test_several_gzip_members_are_one_body() -> None:
    assert inflate(gzip.compress(b"one") + gzip.compress(b"two"), "gzip", max_bytes=100) == b"onetwo"


def test_a_body_of_endless_empty_members_is_refused() -> None:
    with pytest.raises(HttpError, match="more than 1000 members"):
        inflate(gzip.compress(b"") * 100_000, "gzip", max_bytes=100)


def test_what_follows_a_zstd_frame_is_not_lost_in_silence() -> None:
    pack = PACKERS["zstd"]
    with pytest.raises(HttpError, match="not one whole zstd frame"):
        inflate(pack(b"one") + pack(b"two"), "zstd", max_bytes=100)


@pytest.mark.parametrize("encoding", PACKERS)
def test_one_byte_too_many_is_413(encoding: str) -> None:
    with pytest.raises(HttpError, match="larger than 99 bytes") as caught:
        inflate(PACKERS[encoding](b"a" * 100), encoding, max_bytes=99)
    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_without_being_inflated(encoding: str) -> None:
    bomb = PACKERS[encoding](bytes(128 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HttpError) as caught:
        inflate(bomb, encoding, max_bytes=8 * MIB)
    assert caught.value.status == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_zstd_frame_that_wants_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(bytes(200 * MIB))
    with pytest.raises(HttpError) as caught:
        inflate(body, "zstd", max_bytes=MIB)
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_ends_too_soon_is_no_body(encoding: str) -> None:
    whole = PACKERS[encoding](b"record\n" * 1000)
    with pytest.raises(HttpError) as caught:
        inflate(whole[:-5], encoding, max_bytes=MIB)
    assert caught.value.status == 400


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "😀"])
def test_an_unknown_encoding_is_415_and_names_the_known_ones(encoding: str) -> None:
    with pytest.raises(HttpError) as caught:
        inflate(b"", encoding, max_bytes=10)
    assert caught.value.status == 415
    assert caught.value.headers["accept-encoding"] == "gzip, zstd, identity"


@given(body=st.binary(max_size=200), encoding=st.sampled_from(["gzip", "zstd"]))
def test_arbitrary_bytes_never_do_more_than_be_refused(body: bytes, encoding: str) -> None:
    try:
        assert len(inflate(body, encoding, max_bytes=1000)) <= 1000
    except HttpError as error:
        assert error.status in {400, 413}
