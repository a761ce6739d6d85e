"""Join tokens and the messages of enrolment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol import enrolment, wire
from farshore_protocol.enrolment import EnrolmentRequest, HubKey, JoinToken, Membership, RenewalRequest
from farshore_protocol.errors import Malformed, OverLimit, ProtocolError, Unsupported

TOKEN = JoinToken(["https://hub.example:8443"], "ship-1", b"s" * 16, b"c" * 32)


def test_a_token_survives_being_pasted_with_white_space() -> None:
    assert enrolment.read_token(f"  {enrolment.write_token(TOKEN)}\n") == TOKEN


def test_a_token_cut_short_says_so() -> None:
    word = enrolment.write_token(TOKEN)
    for length in range(4, len(word)):
        with pytest.raises(Malformed, match="copied whole"):
            enrolment.read_token(word[:length])


def test_what_is_no_token_is_named_as_such() -> None:
    with pytest.raises(Malformed, match="not a join token"):
        enrolment.read_token("hunter2")
    with pytest.raises(Unsupported, match="upgrade this agent"):
        enrolment.read_token("fs2.abc")
    with pytest.raises(OverLimit):
        enrolment.read_token("fs1." + "a" * 10_000)


@given(st.text(max_size=100))
def test_any_text_is_a_token_or_an_error_of_the_protocol(text: str) -> None:
    for word in (text, "fs1." + text):
        with pytest.raises(ProtocolError):
            enrolment.read_token(word)


def test_requests_and_membership_come_back() -> None:
    request = EnrolmentRequest("ship-1", b"s" * 16, "csr", b"k" * 32)
    assert enrolment.read_enrolment(wire.pack(request)) == request
    renewal = RenewalRequest("ship-1", "csr", bytes(64))
    assert enrolment.read_renewal(wire.pack(renewal)) == renewal
    key = HubKey(bytes(8), bytes(32))
    membership = Membership("ship-1", bytes(8), 5, "cert", "ca", [key], [key], ["https://hub"])
    assert enrolment.read_membership(wire.pack(membership)) == membership


@given(st.binary(max_size=200))
def test_hostile_requests_are_malformed(raw: bytes) -> None:
    for read in (enrolment.read_enrolment, enrolment.read_renewal, enrolment.read_membership):
        with pytest.raises(ProtocolError):
            read(raw)
