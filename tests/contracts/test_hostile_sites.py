"""No site, broken or hostile, harms the hub, its neighbours or its own earlier records."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from farshore_hub.errors import Busy, HubError
from farshore_hub.receive.admission import Asked
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.store.engine import open_engine, reading, writing
from farshore_hub.store.metrics import receipted_by_reason
from farshore_hub.store.schema import sites
from farshore_protocol.errors import ProtocolError
from farshore_protocol.limits import MAX_DICTIONARY_BYTES, MAX_RANGES, MAX_SEQUENCE
from farshore_protocol.messages import Claim, Refused
from farshore_protocol.sealing import seal_epoch
from tests.contracts.hub_world import FakeSite, HubWorld


async def test_no_text_of_a_statement_stops_its_parcel(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    parcel = site.parcel(site.batch(3, 2), receipts=[site.receipt(1, 2, detail="a\0b")], agent_version="1\0")
    answer = await hub.deliver(parcel, "ship-1")
    assert (answer.accounts[0].stored, answer.accounts[0].receipted) == ([3, 4], [1, 2])


@pytest.mark.parametrize("name", ["a\0b", "Boiler", "../x", "b.other", "🙂"])
async def test_names_that_are_none_are_refused_before_the_database_sees_them(hub: HubWorld, name: str) -> None:
    site = hub.add_site("ship-1")
    parcels = [
        site.parcel(site=name),
        site.parcel(claims=[site.claim(1, stream=name)]),
        site.parcel(receipts=[site.receipt(1, 2, stream=name)]),
        site.parcel(receipts=[site.receipt(1, 2, summary=(name, 1, 1))]),
    ]
    for parcel in parcels:
        with pytest.raises(ProtocolError, match="name"):
            await hub.deliver(parcel, None)
    assert hub.balances() == {}


async def test_the_highest_sequences_are_as_good_as_any(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    batch = site.batch(MAX_SEQUENCE - 1, 2)
    for _ in range(2):
        answer = await hub.deliver(site.parcel(batch), "ship-1")
        assert answer.accounts[0].stored == [MAX_SEQUENCE - 1, MAX_SEQUENCE]
    assert hub.count_batches() == 1


async def test_boundless_claims_and_receipts_can_still_be_added_up(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    claims = [site.claim(MAX_SEQUENCE, (1, MAX_SEQUENCE)), Claim(b"life-two", "boiler", MAX_SEQUENCE, [])]
    receipts = [site.receipt(1, MAX_SEQUENCE, stream=stream) for stream in ("pump", "valve")]
    await hub.deliver(site.parcel(claims=claims, receipts=receipts), "ship-1")
    boiler = hub.completeness()[0]
    assert (boiler.produced, boiler.pending, boiler.gap) == (2 * MAX_SEQUENCE, MAX_SEQUENCE, MAX_SEQUENCE)
    with reading(hub.engine) as connection:
        assert receipted_by_reason(connection)["evicted"] == pytest.approx(2 * MAX_SEQUENCE)


async def test_what_is_stored_opens_after_its_site_has_joined_again_with_other_keys(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    batch = site.batch(1, 3)
    await hub.deliver(site.parcel(batch), "ship-1")
    site.signer = Ed25519PrivateKey.generate()
    new_key = site.signer.public_key().public_bytes_raw()
    with writing(hub.engine) as connection:
        connection.execute(update(sites).where(sites.c.name == "ship-1").values(signing_key=new_key))
    assert BatchOpener(hub.engine, hub.keys).columns("ship-1", batch.raw).count == 3
    # The epoch is known, so what was sealed under it and not sent yet is taken as well.
    answer = await hub.deliver(site.parcel(site.batch(4, 3)), "ship-1")
    assert answer.accounts[0].stored == [1, 6]


async def test_a_key_epoch_that_does_not_open_refuses_its_own_batches_only(hub: HubWorld) -> None:
    site, stranger = hub.add_site("ship-1"), FakeSite("ship-1", hub.keys, life="stranger")
    stranger.epoch = seal_epoch(
        site="ship-1",
        epoch=stranger.epoch_id,
        key=b"k" * 32,
        created_us=0,
        hub_key=hub.keys.sealing.id,
        hub_public=hub.keys.sealing.public_bytes(),
        signer=Ed25519PrivateKey.generate(),
    )
    theirs = stranger.batch(1, 3)
    answer = await hub.deliver(site.parcel(theirs, site.batch(1, 3), epochs=[stranger.epoch, site.epoch]), "ship-1")
    assert [(each.digest, each.reason) for each in answer.refusals] == [(theirs.digest, Refused.NOT_AUTHENTIC)]
    assert answer.held == [site.epoch_id]
    assert hub.stored("ship-1") == [1, 2, 3]


async def test_a_dictionary_over_its_bound_is_refused(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    answer = await hub.deliver(site.parcel(site.dictionary(bytes(MAX_DICTIONARY_BYTES + 1))), "ship-1")
    assert ([each.reason for each in answer.refusals], answer.held) == ([Refused.OVER_LIMIT], [site.epoch_id])


async def test_an_account_in_too_many_pieces_takes_no_further_piece_until_some_join(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    odd = [site.receipt(each, each) for each in range(1, 2 * MAX_RANGES, 2)]
    answer = await hub.deliver(site.parcel(receipts=odd), "ship-1")
    assert len(answer.accounts[0].receipted) == 2 * MAX_RANGES
    answer = await hub.deliver(site.parcel(receipts=[site.receipt(10**6, 10**6)]), "ship-1")
    assert answer.accounts[0].receipted[-1] == 2 * MAX_RANGES - 1
    joining, one_more = site.receipt(2, 2), site.receipt(10**6, 10**6)
    answer = await hub.deliver(site.parcel(receipts=[joining, one_more]), "ship-1")
    assert (answer.accounts[0].receipted[:2], answer.accounts[0].receipted[-1]) == ([1, 3], 10**6)


async def test_a_hub_under_pressure_gives_every_site_a_slot_of_its_own(hub: HubWorld) -> None:
    ships = [hub.add_site(f"ship-{each}") for each in range(3)]
    admission = hub.receiver.admission
    admission.room_bytes = 1
    with hub.receiver.admitted(Asked("somebody", 1)):
        waits = []
        for number, ship in enumerate(ships):
            with pytest.raises(Busy) as busy:
                await hub.deliver(ship.parcel(ship.batch(1, 3)), f"ship-{number}")
            assert (busy.value.retry_after_s or 0) >= 1
            waits.append(admission._promised[f"ship-{number}"][0])
    assert waits == sorted(set(waits))
    assert hub.receiver.tally.busy == 3


async def test_a_caller_that_goes_away_hurts_nobody(hub: HubWorld) -> None:
    receiver = hub.another_receiver(threads=True)
    ships = [hub.add_site(f"ship-{each}") for each in range(8)]
    tasks = [asyncio.create_task(hub.deliver(ship.parcel(ship.batch(1, 3)), ship.name, receiver)) for ship in ships]
    await asyncio.sleep(0.002)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [each for each in results[1::2] if isinstance(each, BaseException)]
    for ship in ships:
        await hub.deliver(ship.parcel(ship.batch(1, 3)), ship.name, receiver)
        assert hub.stored(ship.name) == [1, 2, 3]


async def test_two_hub_processes_with_many_sites_never_wait_for_each_other_for_ever(hub: HubWorld) -> None:
    ships = [hub.add_site(f"ship-{each}") for each in range(6)]
    engines = [open_engine(hub.url) for _ in range(2)]
    receivers = [hub.another_receiver(engine, threads=True) for engine in engines]
    parcels = []
    for each in range(8):
        ship = ships[each * 5 % 6]
        streams = ("boiler", "pump", "valve")
        sealed = [ship.batch(1 + each * 4, 6, stream=streams[(each + other) % 3]) for other in (0, 1)]
        parcels.append((ship.parcel(*sealed), ship.name))
    jobs = [hub.deliver(raw, name, receiver) for raw, name in parcels for receiver in receivers]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for engine in engines:
        engine.dispose()
    assert not [each for each in results if isinstance(each, BaseException) and not isinstance(each, HubError)]
    for ship in ships:
        for stream in ("boiler", "pump", "valve"):
            found = hub.stored(ship.name, stream)
            assert len(found) == len(set(found))
