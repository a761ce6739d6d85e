"""Damaged, repeated and interrupted parcels: nothing false is stored, and the genuine one is taken afterwards."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from farshore_hub.errors import HubError, SiteRevoked
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.verify import BroughtParcel, VerifiedParcel
from farshore_hub.store import inbox
from farshore_hub.store.engine import reading
from farshore_hub.store.schema import batches
from farshore_protocol.errors import ProtocolError
from farshore_protocol.messages import Answer
from farshore_protocol.parcel import PARCEL_TYPE
from tests.contracts.hub_world import FakeSite, HubWorld
from tests.hub.web.parcels import Sender
from tests.hub.web.running import RunningHub
from tests.security.worlds import hub_world

__all__ = ["hub_world"]

SHIP = "ship-1"
NUMBERS = [{"n": n, "says": ""} for n in (1, 2, 3)]


def flipped(raw: bytes, at: int, mask: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]


async def outcome(hub: HubWorld, raw: bytes) -> Answer | None:
    """What the hub answers, or None where it takes nothing of it."""
    try:
        return await hub.deliver(raw, SHIP)
    except (HubError, ProtocolError):
        return None


def stored_records(hub: HubWorld) -> list[dict[str, Any]]:
    with reading(hub.engine) as connection:
        raws = [bytes(row.raw) for row in connection.execute(batches.select())]
    opener = BatchOpener(hub.engine, hub.keys)
    return [dict(record) for raw in raws for record in opener.columns(SHIP, raw).records()]


def verified(hub: HubWorld, raw: bytes) -> VerifiedParcel | None:
    """What the hub would post of these bytes, or None where it takes nothing of them."""
    [parcel] = hub.receiver._verifier.verify([BroughtParcel(raw, SHIP)])
    assert isinstance(parcel, (VerifiedParcel, HubError, ProtocolError)), parcel
    return parcel if isinstance(parcel, VerifiedParcel) else None


@pytest.mark.parametrize("hub_world", ["sqlite"], indirect=True)
@pytest.mark.parametrize("masks", [(0x01, 0x04, 0x10, 0x40), (0x80, 0x20, 0x08, 0x02)])
async def test_a_flipped_bit_at_any_position_of_a_parcel_stores_nothing_false(
    hub_world: HubWorld, masks: tuple[int, ...]
) -> None:
    site = hub_world.add_site(SHIP)
    genuine = site.parcel(site.batch(1, 3), head=3)
    whole = verified(hub_world, genuine)
    assert whole is not None
    taken = 0
    for at in range(len(genuine)):
        found = verified(hub_world, flipped(genuine, at, masks[at % len(masks)]))
        if found is not None:
            taken += 1
            # The statement is signed on its own: where the epoch or the batch is damaged, it is still good.
            assert (found.batches, found.statement) == ([], whole.statement), at
            assert all(epoch in whole.epochs for epoch in found.epochs), at
            assert found.refusals, f"position {at}: what was damaged is not refused"
    assert taken > 1000
    for at in range(0, len(genuine), 101):
        await outcome(hub_world, flipped(genuine, at, masks[0]))
    assert hub_world.count_batches() == 0
    assert hub_world.balances() == {(SHIP, "boiler"): (3, 0, 0, 0, 3)}
    answer = await hub_world.deliver(genuine, SHIP)
    assert answer.accounts[0].stored == [1, 3]
    assert stored_records(hub_world) == NUMBERS


async def test_a_parcel_that_was_cut_anywhere_stores_nothing(hub_world: HubWorld) -> None:
    site = hub_world.add_site(SHIP)
    genuine = site.parcel(site.batch(1, 3), head=3)
    for end in range(0, len(genuine), 7):
        assert await outcome(hub_world, genuine[:end]) is None
    assert (hub_world.count_batches(), hub_world.balances()) == (0, {})
    await hub_world.deliver(genuine, SHIP)
    assert stored_records(hub_world) == NUMBERS


def test_flipped_bits_over_https_are_refused_and_the_genuine_parcel_is_taken(hub: RunningHub) -> None:
    member = hub.join("flipped")
    sender = Sender(member.keys, member.membership)
    genuine = sender.parcel([{"ts": 1_795_000_000, "n": 1}])
    for at in range(0, len(genuine), 61):
        reply = hub.ask("POST", "/v1/parcels", flipped(genuine, at, 0x10), kind=PARCEL_TYPE, context=member.context)
        assert reply.status in {200, 400, 401, 403, 413, 422}, (at, reply)
        if reply.status == 200:
            answer = sender.read_answer(reply.body)
            assert (bool(answer.refusals), answer.accounts[0].stored) == (True, [])
    reply = hub.ask("POST", "/v1/parcels", genuine, kind=PARCEL_TYPE, context=member.context)
    assert sender.read_answer(reply.body).accounts[0].stored == [1, 1]


# ------------------------------------------------------------------------ replay


async def test_a_parcel_that_comes_again_is_acknowledged_and_not_stored_again(hub_world: HubWorld) -> None:
    site = hub_world.add_site(SHIP)
    parcel = site.parcel(site.batch(1, 3), head=3)
    answers = [await hub_world.deliver(parcel, who) for who in (SHIP, SHIP, None)]
    assert [answer.accounts[0].stored for answer in answers] == [[1, 3]] * 3
    assert (hub_world.stored(SHIP), hub_world.count_batches()) == ([1, 2, 3], 1)


async def test_an_older_parcel_says_nothing_that_a_newer_one_has_not_overtaken(hub_world: HubWorld) -> None:
    site = hub_world.add_site(SHIP)
    older = site.parcel(site.batch(1, 3), head=3, receipts=[site.receipt(4, 5)])
    await hub_world.deliver(older, SHIP)
    await hub_world.deliver(site.parcel(site.batch(6, 4), head=9), SHIP)
    before = hub_world.balances()
    for who in (SHIP, None):
        await hub_world.deliver(older, who)
        assert hub_world.balances() == before


async def test_a_parcel_of_an_earlier_life_comes_into_its_own_account(hub_world: HubWorld) -> None:
    site = hub_world.add_site(SHIP)
    earlier = site.parcel(site.batch(1, 3), head=3)
    await hub_world.deliver(earlier, SHIP)
    later = FakeSite(SHIP, hub_world.keys, life="two")
    await hub_world.deliver(later.parcel(later.batch(1, 3, says="later"), head=3), SHIP)
    await hub_world.deliver(earlier, None)
    assert hub_world.stored(SHIP) == [1, 1, 2, 2, 3, 3]
    assert hub_world.count_batches() == 2


async def test_a_parcel_from_before_the_hub_was_restored_gives_back_what_it_had(hub_world: HubWorld) -> None:
    site = hub_world.add_site(SHIP)
    captured = site.parcel(site.batch(1, 3), head=3)
    # The backup is from before: this hub never saw it, and another life answers.
    restored = hub_world.another_receiver()
    answer = await hub_world.deliver(captured, SHIP, restored)
    assert (answer.life != hub_world.receiver.life, answer.accounts[0].stored) == (True, [1, 3])
    assert hub_world.stored(SHIP) == [1, 2, 3]


# --------------------------------------------------------- revoked in the middle


async def test_a_parcel_under_way_is_not_stored_after_the_revocation_was_answered(hub_world: HubWorld) -> None:
    """It was verified while the site was good; when its turn to be committed comes, the site is not."""
    site = hub_world.add_site(SHIP)
    receiver = hub_world.another_receiver(threads=True)
    real = receiver._verifier.verify

    def verify(*arguments: Any) -> Any:  # noqa: ANN401
        verified = real(*arguments)
        hub_world.revoke(SHIP)
        return verified

    receiver._verifier.verify = verify  # type: ignore[assignment,method-assign]
    with pytest.raises(SiteRevoked):
        await receiver.receive(site.parcel(site.batch(1, 3), head=3), SHIP)
    assert (hub_world.count_batches(), hub_world.balances()) == (0, {})


async def test_a_revocation_is_not_answered_while_a_parcel_of_the_site_is_being_committed(
    hub_world: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So whatever is stored was stored before the operator was told that the site is out."""
    site = hub_world.add_site(SHIP)
    checked, go_on = threading.Event(), threading.Event()
    real = inbox.active_sites

    def active_sites(*arguments: Any) -> set[int]:  # noqa: ANN401
        found = real(*arguments)
        checked.set()
        assert go_on.wait(60)
        return found

    monkeypatch.setattr(inbox, "active_sites", active_sites)
    receiver = hub_world.another_receiver(threads=True)
    delivering = asyncio.create_task(hub_world.deliver(site.parcel(site.batch(1, 3), head=3), SHIP, receiver))
    assert await asyncio.to_thread(checked.wait, 60)
    revoking = asyncio.create_task(asyncio.to_thread(hub_world.revoke, SHIP))
    await asyncio.wait((revoking,), timeout=0.5)
    assert not revoking.done()
    go_on.set()
    assert (await delivering).accounts[0].stored == [1, 3]
    await revoking
    with pytest.raises(SiteRevoked):
        await hub_world.deliver(site.parcel(site.batch(4, 3), head=6), SHIP, receiver)
    assert hub_world.stored(SHIP) == [1, 2, 3]


def test_a_site_that_is_revoked_while_it_uploads_stores_nothing_and_loses_its_connection(hub: RunningHub) -> None:
    member = hub.join("uploading")
    parcel = Sender(member.keys, member.membership).parcel([{"ts": 1_795_000_000, "n": 1}])
    connection = hub.connection(member.context)
    connection.putrequest("POST", "/v1/parcels")
    connection.putheader("Content-Type", PARCEL_TYPE)
    connection.putheader("Content-Length", str(len(parcel)))
    connection.endheaders(parcel[: len(parcel) // 2])
    # The hub has signed the site in already when it asks for the rest; the answer to the revocation comes after that.
    assert hub.ask("POST", "/v1/sites/uploading/revoke", role=Role.ADMIN).status == 200
    connection.send(parcel[len(parcel) // 2 :])
    answer = connection.getresponse()
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert b"site-revoked" in answer.read()
    connection.close()
    assert hub.ask("GET", "/v1/completeness?site=uploading", role=Role.VIEWER).json["streams"] == []
