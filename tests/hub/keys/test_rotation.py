"""Rotation and retirement of the hub's own keys: what is in use, what still opens, and who is told what."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import insert, select

from farshore_hub.errors import Conflict, NotReady
from farshore_hub.fleet.key_files import Kind
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.keys.desk import Files, KeyDesk
from farshore_hub.opening import OpenedHub
from farshore_hub.orders.secrets import Secrets, opened
from farshore_hub.receive.keys import epoch_key
from farshore_hub.store import config, deeds
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import orders, sites
from farshore_protocol.enrolment import HubKey
from farshore_protocol.errors import NotAuthentic
from farshore_protocol.keyring import follow
from farshore_protocol.orders import Order, chain_of_order, open_order, pack_order, site_sealing_key
from farshore_shell.files import write_private
from farshore_shell.system import SystemRandom
from tests.contracts.hub_world import FakeSite
from tests.hub.fleet.site import TurnableClock

ALL = set(Kind)


def no_backup(_files: Files) -> None:
    pass


def reach(keys: HubKeys, known: HubKeys) -> bool:
    """Whether a site that has the keyring of `known` gets to the one of `keys`."""
    before = known.keyring
    found = follow(keys.chain_after(before.number), hub=keys.hub, number=before.number, signers=before.signers)
    return found == keys.keyring


def test_what_was_sealed_before_still_opens_and_what_comes_is_sealed_to_the_new_key(
    hub: OpenedHub, desk: KeyDesk
) -> None:
    before = FakeSite("ship-1", hub.keys)
    desk.rotate({Kind.SEALING}, no_backup)
    after = FakeSite("ship-1", hub.keys)
    assert before.epoch.hub_key != after.epoch.hub_key == hub.keys.public_sealing_keys[0].id
    for site in (before, after):
        batch = site.batch(1, 3)
        assert epoch_key(hub.keys, site.epoch, site.signer.public_key()).open(batch)
    desk.retire({Kind.SEALING})
    assert epoch_key(hub.keys, after.epoch, after.signer.public_key()).epoch == after.epoch_id
    with pytest.raises(NotAuthentic, match=before.epoch.hub_key.hex()):
        epoch_key(hub.keys, before.epoch, before.signer.public_key())


def test_the_old_key_signs_until_it_is_retired_so_that_everybody_can_check(
    hub: OpenedHub, desk: KeyDesk, tmp_path: Path
) -> None:
    first = HubKeys.load(hub.keys.folder)
    first.folder = tmp_path / "as they were"
    old = hub.keys.signing_id
    desk.rotate({Kind.SIGNING}, no_backup)
    assert hub.keys.signing_id == old
    assert [each.id for each in hub.keys.public_signing_keys][1:] == [old]
    desk.retire({Kind.SIGNING})
    assert hub.keys.signing_id != old
    desk.rotate(ALL, no_backup)
    desk.retire({Kind.SIGNING, Kind.CA})
    assert reach(hub.keys, first)
    assert HubKeys.load(hub.keys.folder).keyring == hub.keys.keyring


def test_a_hub_that_is_open_meanwhile_notices(hub: OpenedHub, desk: KeyDesk) -> None:
    running = HubKeys.load(hub.keys.folder)
    was = running.sealing
    desk.rotate(ALL, no_backup)
    assert running.sealing != was
    assert running.sealing_keys[1:] == (was,)
    assert running.keyring == hub.keys.keyring


def test_sites_get_certificates_of_the_new_authority_and_the_hub_shows_the_old_one_until_it_is_retired(
    hub: OpenedHub, desk: KeyDesk, clock: TurnableClock
) -> None:
    old, addresses = hub.keys.ca, hub.fleet.addresses
    desk.rotate({Kind.CA}, no_backup)
    assert hub.keys.ca.pem == old.pem != hub.keys.newest_ca.pem
    assert not hub.keys.renew_tls(addresses, clock, SystemRandom())
    bundle = x509.load_pem_x509_certificates((hub.place.data_dir / "ca.pem").read_bytes())
    assert bundle == [hub.keys.newest_ca.certificate, old.certificate]
    desk.retire({Kind.CA})
    assert hub.keys.renew_tls(addresses, clock, SystemRandom())
    shown = x509.load_pem_x509_certificates(hub.keys.tls_path.read_bytes())[0]
    shown.verify_directly_issued_by(hub.keys.newest_ca.certificate)
    assert old.pem not in hub.keys.trusted_pem


def test_secrets_are_sealed_anew(hub: OpenedHub, desk: KeyDesk) -> None:
    Secrets(hub.engine, hub.keys, hub.fleet.clock).set("MQTT", "a word", "alice")
    desk.rotate({Kind.SEALING}, no_backup)
    desk.retire({Kind.SEALING})
    with reading(hub.engine) as connection:
        rows = config.secrets(connection)
        assert [each.deed for each in deeds.deeds(connection, "keys", 9)] == ["retired", "rotated"]
    assert rows["MQTT"].sealed_to == hub.keys.sealing.id
    assert opened(hub.keys, rows, ["MQTT"]) == {"MQTT": "a word"}


def test_an_order_under_way_is_signed_with_the_key_that_is_left_and_brings_the_chain(
    hub: OpenedHub, desk: KeyDesk
) -> None:
    key = site_sealing_key(bytes(32))
    order = Order(hub.keys.hub, "ship-1", 7, 5, None)
    raw = pack_order(order, hub.keys.signer, HubKey(key.id, key.public_bytes()), hub.keys.chain)
    assert chain_of_order(raw) == []
    with writing(hub.engine) as connection:
        connection.execute(insert(sites).values(id=1, name="ship-1", state="active", created_us=0))
        row = {"site_id": 1, "kind": "settings", "state": "open", "number": 7, "made_us": 5, "made_by": "alice"}
        connection.execute(insert(orders).values(raw=raw, published_us=6, **row))
    first = hub.keys.keyring
    desk.rotate({Kind.SIGNING}, no_backup)
    desk.retire({Kind.SIGNING})
    with reading(hub.engine) as connection:
        told, published_us = connection.execute(select(orders.c.raw, orders.c.published_us)).one()
    assert published_us is None
    newest = follow(chain_of_order(told), hub=hub.keys.hub, number=first.number, signers=first.signers)
    assert newest is not None
    assert open_order(told, hub=hub.keys.hub, site="ship-1", key=key, signers=newest.signers) == order
    with pytest.raises(NotAuthentic):
        open_order(told, hub=hub.keys.hub, site="ship-1", key=key, signers=first.signers)


def test_a_rotation_that_cannot_be_backed_up_changes_nothing(hub: OpenedHub, desk: KeyDesk) -> None:
    def full(files: Files) -> None:
        assert len(files) == 4 + len(ALL) + 1
        raise OSError(28, "No space left on device")

    before = {path.name for path in hub.keys.folder.iterdir()}
    with pytest.raises(OSError, match="No space"):
        desk.rotate(ALL, full)
    assert {path.name for path in hub.keys.folder.iterdir()} == before
    assert hub.keys.keyring.number == 0


@pytest.mark.parametrize("written", [1, 2, 3])
def test_a_rotation_that_is_cut_off_half_way_is_none(
    hub: OpenedHub, desk: KeyDesk, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    left = [written]

    def dying(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        write_private(path, content)

    was = hub.keys.sealing, hub.keys.signing_id, hub.keys.ca.pem
    with monkeypatch.context() as cut:
        cut.setattr("farshore_hub.keys.desk.write_private", dying)
        with pytest.raises(KeyboardInterrupt):
            desk.rotate(ALL, no_backup)
    again = HubKeys.load(hub.keys.folder)
    assert (again.sealing, again.signing_id, again.ca.pem, again.keyring.number) == (*was, 0)
    desk.rotate(ALL, no_backup)
    assert again.keyring.number > 0


def test_what_cannot_be_retired_or_rotated_is_said(hub: OpenedHub, desk: KeyDesk) -> None:
    for kind in Kind:
        with pytest.raises(Conflict, match="key only"):
            desk.retire({kind})
    for _ in range(3):
        desk.rotate({Kind.CA}, no_backup)
    with pytest.raises(Conflict, match="4 ca keys"):
        desk.rotate({Kind.CA}, no_backup)


def test_a_key_in_use_that_is_gone_is_missed_and_the_running_hub_goes_on(hub: OpenedHub, desk: KeyDesk) -> None:
    desk.rotate({Kind.SEALING}, no_backup)
    running = HubKeys.load(hub.keys.folder)
    before = running.sealing
    (hub.keys.folder / "sealing.seed").unlink()
    with pytest.raises(NotReady, match="in use, is not there"):
        HubKeys.load(hub.keys.folder)
    assert running.sealing == before
