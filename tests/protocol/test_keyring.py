"""The hub's keyrings: who missed some follows, nobody is led away, and whatever bytes come is answered."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from farshore_protocol.enrolment import HubKey
from farshore_protocol.errors import NotAuthentic, ProtocolError, Unsupported
from farshore_protocol.keyring import Keyring, follow, open_keyring, pack_keyring
from farshore_protocol.sealing import SealingKey, key_id

HUB = b"hub-name"
SEALING = SealingKey.of_seed(hashlib.shake_256(b"hub").digest(96))
SIGNERS = [Ed25519PrivateKey.from_private_bytes(hashlib.sha256(bytes([n])).digest()) for n in range(5)]


def public(signer: Ed25519PrivateKey) -> HubKey:
    raw = signer.public_key().public_bytes_raw()
    return HubKey(key_id(raw), raw)


def ring(number: int, *signers: Ed25519PrivateKey, hub: bytes = HUB) -> Keyring:
    signing = [public(each) for each in signers]
    return Keyring(hub, number, number, signing, HubKey(SEALING.id, SEALING.public_bytes()), [], ["a certificate"])


FIRST = ring(0, SIGNERS[0])
CHAIN = [
    pack_keyring(ring(10, SIGNERS[1], SIGNERS[0]), SIGNERS[0]),
    pack_keyring(ring(20, SIGNERS[1]), SIGNERS[1]),
    pack_keyring(ring(30, SIGNERS[2], SIGNERS[1]), SIGNERS[1]),
    pack_keyring(ring(40, SIGNERS[2]), SIGNERS[2]),
]


def led_to(chain: list[bytes], known: Keyring = FIRST) -> int | None:
    found = follow(chain, hub=HUB, number=known.number, signers=known.signers)
    return None if found is None else found.number


def test_who_missed_several_rotations_follows_all_of_them() -> None:
    assert led_to(CHAIN) == 40
    assert led_to(CHAIN[2:], ring(20, SIGNERS[1])) == 40


def test_a_chain_with_a_missing_link_leads_as_far_as_it_can() -> None:
    assert led_to([CHAIN[0], CHAIN[3]]) == 10
    assert led_to([CHAIN[0], CHAIN[2], CHAIN[3]]) == 40


def test_one_that_joined_later_passes_over_what_was_before_its_time() -> None:
    assert led_to(CHAIN, ring(0, SIGNERS[1])) == 40


def test_an_older_keyring_never_takes_the_place_of_a_newer_one() -> None:
    both = ring(20, SIGNERS[1], SIGNERS[0])
    assert led_to(CHAIN[:1], both) is None
    assert led_to([CHAIN[3], CHAIN[0]], ring(30, SIGNERS[2], SIGNERS[0])) == 40


def test_nobody_else_leads_a_site_anywhere() -> None:
    stranger = SIGNERS[4]
    forged = pack_keyring(ring(50, stranger), stranger)
    renamed = forged.replace(public(stranger).id, FIRST.signing[0].id)
    of_another_hub = pack_keyring(ring(50, stranger, hub=b"not-that"), SIGNERS[0])
    retired = pack_keyring(ring(50, stranger), SIGNERS[0])
    assert led_to([forged, renamed, of_another_hub]) is None
    assert led_to([*CHAIN, retired]) == 40
    with pytest.raises(NotAuthentic):
        open_keyring(renamed, HUB, FIRST.signers)
    with pytest.raises(Unsupported, match="upgrade"):
        open_keyring(b"FSK\x02" + CHAIN[0][4:], HUB, FIRST.signers)


def test_keys_that_are_none_are_refused_though_signed() -> None:
    for bad in (
        msgspec.structs.replace(ring(10, SIGNERS[1]), signing=[HubKey(b"12345678", b"short")]),
        msgspec.structs.replace(ring(10, SIGNERS[1]), sealing=HubKey(b"12345678", b"short")),
    ):
        assert led_to([pack_keyring(bad, SIGNERS[0])]) is None


@given(st.integers(0, len(CHAIN[0]) - 1), st.integers(1, 255), st.binary(max_size=40))
def test_whatever_comes_is_refused_in_a_way_that_is_foreseen(at: int, flip: int, tail: bytes) -> None:
    changed = bytearray(CHAIN[0])
    changed[at] ^= flip
    for raw in (bytes(changed), CHAIN[0][:at], CHAIN[0][:at] + tail, tail):
        if raw == CHAIN[0]:
            continue
        with pytest.raises(ProtocolError):
            open_keyring(raw, HUB, FIRST.signers)
