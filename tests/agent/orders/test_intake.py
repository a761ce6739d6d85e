"""Who may order what: everything that is not this hub's, for this site and new is refused, and the reason is named."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.orders.intake import Reason, Refused, examine
from farshore_agent.orders.state import State
from farshore_protocol.documents import Signer
from tests.agent.orders.sites import HUB, HUB_SIGNER, NOW_US, PARTY, SITE, order

STATE = State(HUB, SITE, settings_number=5, command_number=6)
STRANGER = Signer(HUB_SIGNER.id, Ed25519PrivateKey.from_private_bytes(bytes(32)))


def reason(raw: bytes, now_us: int | None = NOW_US, state: State = STATE) -> Reason:
    with pytest.raises(Refused) as refused:
        examine(raw, PARTY, state, now_us)
    assert str(refused.value)
    return refused.value.reason


def test_an_order_of_the_hub_to_this_site_is_taken() -> None:
    desired = examine(order(7, settings="[seal]"), PARTY, STATE, None).desired
    assert desired is not None
    assert desired.settings == "[seal]"
    assert examine(order(7, command="flush", expires_us=NOW_US + 1), PARTY, STATE, NOW_US).command is not None


def test_what_somebody_else_has_signed_is_foreign() -> None:
    assert reason(order(settings="", signer=STRANGER)) is Reason.FOREIGN
    assert reason(order(settings="", signer=Signer(b"unknown!", STRANGER.key))) is Reason.FOREIGN


def test_what_is_of_another_hub_or_for_another_site_is_foreign() -> None:
    assert reason(order(settings="", hub=b"otherhub")) is Reason.FOREIGN
    assert reason(order(settings="", site="ship-2")) is Reason.FOREIGN


def test_an_order_that_is_not_newer_is_refused_for_each_kind_apart() -> None:
    assert reason(order(5, settings="")) is Reason.REPEATED
    assert reason(order(4, settings="")) is Reason.OLDER
    assert reason(order(6, command="flush")) is Reason.REPEATED
    assert reason(order(5, command="flush")) is Reason.OLDER
    assert examine(order(6, settings=""), PARTY, STATE, NOW_US).number == 6


def test_an_order_that_has_expired_by_the_hubs_clock_is_refused() -> None:
    assert reason(order(command="flush", expires_us=NOW_US)) is Reason.EXPIRED
    assert reason(order(command="flush", expires_us=NOW_US), now_us=None) is Reason.CLOCK


def test_a_kind_that_only_a_newer_hub_knows_is_unsupported() -> None:
    assert reason(order()) is Reason.UNSUPPORTED
    assert reason(order(settings="", command="flush")) is Reason.UNSUPPORTED


@given(st.binary(max_size=200))
def test_whatever_a_stranger_sends_is_refused_and_nothing_else(raw: bytes) -> None:
    assert reason(raw) in Reason
    assert reason(b"FSO\x01" + raw) in Reason


def test_an_order_that_was_changed_on_the_way_is_never_taken() -> None:
    raw = order(7, command="flush")
    for at in range(len(raw)):
        for flip in (0x01, 0x80):
            changed = raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :]
            assert reason(changed) in {Reason.FOREIGN, Reason.MALFORMED, Reason.UNSUPPORTED, Reason.OVER_LIMIT}
    for at in range(len(raw)):
        assert reason(raw[:at]) in {Reason.MALFORMED, Reason.FOREIGN}


def test_an_order_that_is_played_again_is_refused_from_when_it_was_taken() -> None:
    for raw in (order(7, settings=""), order(7, command="flush")):
        taken = examine(raw, PARTY, STATE, NOW_US)
        assert taken.number == 7
        assert reason(raw, state=State(HUB, SITE, settings_number=7, command_number=7)) is Reason.REPEATED
        assert reason(raw, state=State(HUB, SITE, settings_number=8, command_number=8)) is Reason.OLDER
