"""Orders and reports between a hub and a site joined in memory, and what a hostile relay can make of them: nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol import orders
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.errors import Malformed, NotAuthentic, OverLimit, ProtocolError, Unsupported
from farshore_protocol.limits import MAX_COMMAND_DATA_BYTES, MAX_ORDER_BYTES, MAX_SEQUENCE, MAX_SETTINGS_CHARS
from farshore_protocol.orders import (
    Command,
    CommandReport,
    Desired,
    Introduction,
    Order,
    Outcome,
    Report,
    SettingsReport,
)
from farshore_protocol.sealing import SealingKey
from tests.protocol import peers

HUB = b"hub-name"
SITE_SEALING = orders.site_sealing_key(hashlib.sha256(b"site key of the tests").digest())
SITE_KEY = HubKey(SITE_SEALING.id, SITE_SEALING.public_bytes())
HUB_KEY = HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes())
HUB_SIGNER = Signer(peers.HUB_SIGNING_ID, peers.HUB_SIGNER)
SITE_SIGNER = Signer(b"sitesign", peers.SITE_SIGNER)
ORDER = Order(HUB, peers.SITE, 7, 1_795_435_200_000_000, None, desired=Desired("[seal]\nlinger = '2 s'\n", 3, 60))
COMMAND = Order(HUB, peers.SITE, 8, 1_000, 2_000, command=Command("resend", {"stream": "boiler"}))
REPORT = Report(
    hub=HUB,
    site=peers.SITE,
    number=9,
    at_us=1_795_435_200_000_000,
    agent_version="1.0",
    schema=bytes(16),
    settings=SettingsReport(3, 7, Outcome.ROLLED_BACK, ["the hub was not reached for 60 s"]),
    command=CommandReport(8, done=True, data=b"bundle"),
    introduction=Introduction(SITE_KEY, b"schema", ["streams", "seal"]),
)


def packed(order: Order = ORDER) -> bytes:
    return orders.pack_order(order, HUB_SIGNER, SITE_KEY)


def opened(raw: bytes, site: str = peers.SITE, hub: bytes = HUB, key: SealingKey = SITE_SEALING) -> Order:
    signers = {HUB_SIGNER.id: peers.HUB_SIGNER.public_key()}
    return orders.open_order(raw, hub=hub, site=site, key=key, signers=signers)


def reported(raw: bytes, site: str = peers.SITE, hub: bytes = HUB) -> Report:
    signers = {SITE_SIGNER.id: peers.SITE_SIGNER.public_key()}
    return orders.open_report(raw, hub=hub, site=site, keys=[peers.HUB_SEALING], signers=signers)


@pytest.mark.parametrize("order", [ORDER, COMMAND])
def test_a_site_reads_the_order_that_its_hub_made(order: Order) -> None:
    assert opened(packed(order)) == order


def test_a_hub_reads_the_report_that_its_site_made() -> None:
    raw = orders.pack_report(REPORT, SITE_SIGNER, HUB_KEY)
    assert orders.site_of_report(raw) == peers.SITE
    assert reported(raw) == REPORT


def test_a_relay_reads_nothing_of_an_order() -> None:
    raw = packed(msgspec.structs.replace(ORDER, desired=Desired("password = 'hush-hush'", 3, 60)))
    assert b"hush" not in raw
    assert b"password" not in raw


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (lambda: opened(packed(msgspec.structs.replace(ORDER, site="ship-2"))), "names the site ship-2"),
        (lambda: opened(packed(), site="ship-2"), "names the site ship-1"),
        (lambda: opened(packed(), hub=b"hub-two!"), "names the hub"),
        (lambda: opened(packed(), key=peers.HUB_SEALING), "sealed to the key"),
        (lambda: opened(orders.pack_order(ORDER, SITE_SIGNER, SITE_KEY)), "signed by the key"),
        (lambda: opened(orders.pack_order(ORDER, Signer(HUB_SIGNER.id, peers.SITE_SIGNER), SITE_KEY)), "signature"),
        (lambda: reported(orders.pack_report(REPORT, SITE_SIGNER, HUB_KEY), site="ship-2"), "names the site ship-1"),
        (lambda: reported(orders.pack_report(REPORT, SITE_SIGNER, HUB_KEY), hub=b"hub-two!"), "names the hub"),
        (lambda: reported(orders.pack_report(REPORT, SITE_SIGNER, SITE_KEY)), "sealed to the key"),
    ],
)
def test_what_is_not_from_the_one_for_the_other_is_refused_with_the_reason(
    refused: Callable[[], object], why: str
) -> None:
    with pytest.raises(NotAuthentic, match=why):
        refused()


def test_an_order_is_no_report_and_the_other_way_round() -> None:
    with pytest.raises(Malformed, match="not a Farshore report"):
        orders.site_of_report(packed())
    turned = b"FSO" + orders.pack_report(REPORT, SITE_SIGNER, SITE_KEY)[3:]
    signers = {SITE_SIGNER.id: peers.SITE_SIGNER.public_key()}
    with pytest.raises(NotAuthentic):
        orders.open_order(turned, hub=HUB, site=peers.SITE, key=SITE_SEALING, signers=signers)


def test_no_changed_byte_of_an_order_is_believed() -> None:
    raw = packed()
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 0x01
        with pytest.raises(ProtocolError):
            opened(bytes(damaged))


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_refused_and_not_crashed_on(junk: bytes) -> None:
    for raw in (junk, b"FSO\x01" + junk, packed()[:100] + junk):
        with pytest.raises(ProtocolError):
            opened(raw)


def test_another_format_and_an_order_over_the_bound_are_said() -> None:
    with pytest.raises(Unsupported, match="order format 2"):
        opened(b"FSO\x02" + packed()[4:])
    with pytest.raises(OverLimit):
        opened(b"FSO\x01" + bytes(MAX_ORDER_BYTES))


def test_the_largest_settings_and_the_largest_answer_find_room() -> None:
    settings = Desired("\U0001f40b" * MAX_SETTINGS_CHARS, 1, 0)
    assert opened(packed(msgspec.structs.replace(ORDER, desired=settings))).desired == settings
    answer = msgspec.structs.replace(REPORT, command=CommandReport(8, done=True, data=bytes(MAX_COMMAND_DATA_BYTES)))
    assert reported(orders.pack_report(answer, SITE_SIGNER, HUB_KEY)) == answer


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
def test_numbers_rise_whatever_the_clock_does(clock: list[int]) -> None:
    highest = 0
    for now_us in clock:
        number = orders.next_number(now_us, highest=highest)
        assert highest < number <= MAX_SEQUENCE
        highest = number


def test_a_command_is_due_until_it_expires_and_settings_always_are() -> None:
    assert orders.is_due(COMMAND, 1_999)
    assert not orders.is_due(COMMAND, 2_000)
    assert orders.is_due(ORDER, 2**62)


def test_a_sites_sealing_key_is_the_same_at_every_start_and_another_for_another_signing_key() -> None:
    assert orders.site_sealing_key(bytes(32)) == orders.site_sealing_key(bytes(32))
    assert orders.site_sealing_key(bytes(32)).seed != orders.site_sealing_key(bytes(31) + b"1").seed
    assert bytes(32) not in orders.site_sealing_key(bytes(32)).seed
