"""The hub's keys on disk, its TLS certificate, and small secret files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from farshore_hub.errors import NotReady
from farshore_hub.fleet.ca import instant
from farshore_hub.fleet.keys import HubKeys
from farshore_shell.files import write_private
from farshore_shell.system import SystemRandom
from tests.hub.fleet.site import TurnableClock

ADDRESSES = ["https://hub.example.org:8443", "https://10.0.0.5:8443"]


def tls_certificate(keys: HubKeys) -> x509.Certificate:
    return x509.load_pem_x509_certificates(keys.tls_path.read_bytes())[0]


def test_keys_are_the_same_after_loading(keys: HubKeys) -> None:
    loaded = HubKeys.load(keys.folder)
    assert (loaded.hub, loaded.signing_id, loaded.sealing, loaded.ca.pem) == (
        keys.hub,
        keys.signing_id,
        keys.sealing,
        keys.ca.pem,
    )


def test_only_the_owner_reads_them(keys: HubKeys, clock: TurnableClock) -> None:
    keys.renew_tls(ADDRESSES, clock, SystemRandom())
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.folder.iterdir()} == {0o600}


def test_creating_again_keeps_what_is_there_and_makes_what_is_missing(keys: HubKeys, clock: TurnableClock) -> None:
    was = keys.signing_id
    (keys.folder / "signing.pem").unlink()
    again = HubKeys.create(keys.folder, clock, SystemRandom())
    assert (again.hub, again.ca.pem, again.sealing) == (keys.hub, keys.ca.pem, keys.sealing)
    assert again.signing_id != was


@pytest.mark.parametrize("name", ["hub.id", "authority.pem", "signing.pem", "sealing.seed"])
def test_a_missing_or_damaged_key_is_named_and_never_replaced(keys: HubKeys, name: str) -> None:
    path = keys.folder / name
    path.write_text("damaged")
    with pytest.raises(NotReady, match="cannot be read"):
        HubKeys.load(keys.folder)
    path.unlink()
    with pytest.raises(NotReady, match="cannot be read"):
        HubKeys.load(keys.folder)
    assert not path.exists()


def test_the_tls_certificate_names_the_hub_its_addresses_and_loopback(keys: HubKeys, clock: TurnableClock) -> None:
    keys.renew_tls(ADDRESSES, clock, SystemRandom())
    names = tls_certificate(keys).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["farshore-hub", "hub.example.org", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.5", "127.0.0.1", "::1"]


def test_the_tls_certificate_is_renewed_in_time_and_not_before(keys: HubKeys, clock: TurnableClock) -> None:
    assert keys.renew_tls(ADDRESSES, clock, SystemRandom())
    assert not keys.renew_tls(ADDRESSES, clock, SystemRandom())
    clock.turn_days(200)
    assert not keys.renew_tls(ADDRESSES, clock, SystemRandom())
    clock.turn_days(100)
    assert keys.renew_tls(ADDRESSES, clock, SystemRandom())
    assert tls_certificate(keys).not_valid_after_utc > instant(clock.now_us())


def test_other_addresses_get_another_tls_certificate(keys: HubKeys, clock: TurnableClock) -> None:
    keys.renew_tls(ADDRESSES, clock, SystemRandom())
    assert keys.renew_tls(["https://elsewhere.example.org:8443"], clock, SystemRandom())


def test_a_damaged_tls_certificate_is_replaced(keys: HubKeys, clock: TurnableClock) -> None:
    keys.tls_path.write_text("damaged")
    assert keys.renew_tls(ADDRESSES, clock, SystemRandom())


def test_a_private_file_is_replaced_whole_even_after_a_crash_in_between(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"one")
    path.with_name("secret.new").write_bytes(b"half of tw")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
