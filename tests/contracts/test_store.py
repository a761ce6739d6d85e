"""The hub's store keeps its promises on both databases: exactly once, balanced, and each site its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, select

from farshore_hub.errors import Forbidden, HubError, SiteRevoked, Unauthenticated
from farshore_hub.ledger.verdict import Fate
from farshore_hub.receive import posting
from farshore_hub.receive.posting import Outcome
from farshore_hub.receive.verify import BroughtParcel, VerifiedParcel
from farshore_hub.store import migrate, version
from farshore_hub.store.engine import open_engine, reading
from farshore_hub.store.schema import forks, metadata, receipts
from farshore_protocol.batch import BatchHeader, Kind
from farshore_protocol.errors import ProtocolError
from farshore_protocol.messages import Reason, Receipt, Refused, short
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import FakeSite, HubWorld


def everything(last: int) -> list[int]:
    return list(range(1, last + 1))


def differences(hub: HubWorld) -> list[object]:
    with reading(hub.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        return list(compare_metadata(context, metadata))


def _head_of_alembic() -> str | None:
    head: str | None = ScriptDirectory.from_config(migrate._config()).get_current_head()
    return head


def test_all_migrations_give_exactly_the_tables_of_this_version(hub: HubWorld) -> None:
    assert differences(hub) == []
    assert version.current(hub.engine) == version.newest() == _head_of_alembic()
    assert migrate.upgrade_sql(hub.engine) == ""


async def test_a_parcel_is_stored_and_answered_with_the_account(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    answer = await hub.deliver(site.parcel(site.batch(1, 100), site.batch(101, 50), head=150), "ship-1")
    assert answer.accounts[0].stored == [1, 150]
    assert answer.held == [site.epoch_id]
    assert hub.stored("ship-1") == everything(150)
    assert hub.balances() == {("ship-1", "boiler"): (150, 150, 0, 0, 0)}


async def test_a_resent_parcel_stores_nothing_twice(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    parcel = site.parcel(site.batch(1, 100), head=100)
    first = await hub.deliver(parcel, "ship-1")
    again = await hub.deliver(parcel, "ship-1")
    assert (again.accounts, again.forked) == (first.accounts, [])
    assert again.here == first.here != frozenset()
    assert hub.stored("ship-1") == everything(100)
    assert hub.receiver.tally.fates[Fate.DUPLICATE] == 1


async def test_batches_may_come_in_any_order(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    batches = [site.batch(1 + 10 * each, 10) for each in range(5)]
    answers = [await hub.deliver(site.parcel(batches[each], head=50), "ship-1") for each in (3, 0, 4, 2)]
    assert answers[-1].accounts[0].stored == [1, 10, 21, 50]
    assert hub.balances() == {("ship-1", "boiler"): (50, 40, 0, 0, 10)}
    await hub.deliver(site.parcel(batches[1]), "ship-1")
    assert hub.stored("ship-1") == everything(50)


async def test_one_parcel_may_bring_the_same_batch_twice(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    batch = site.batch(1, 10)
    await hub.deliver(site.parcel(batch, batch), "ship-1")
    assert hub.stored("ship-1") == everything(10)


async def test_the_same_records_sealed_again_are_a_duplicate(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 10)), "ship-1")
    again = site.batch(1, 10)
    answer = await hub.deliver(site.parcel(again), "ship-1")
    assert (answer.forked, answer.here) == ([], frozenset([short(again.digest)]))
    assert hub.count_batches() == 1


async def test_other_records_for_the_same_range_are_kept_aside_as_a_fork(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 10)), "ship-1")
    other = site.batch(1, 10, says="something else")
    for _ in range(2):
        answer = await hub.deliver(site.parcel(other), "ship-1")
        assert (answer.forked, answer.taken) == ([other.digest], b"")
    assert hub.stored("ship-1") == everything(10)
    with reading(hub.engine) as connection:
        assert [bytes(raw) for raw in connection.scalars(select(forks.c.raw))] == [other.raw]


async def test_of_an_overlapping_batch_only_what_is_new_is_taken(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 10), site.batch(16, 5)), "ship-1")
    wide = site.batch(5, 20)
    answer = await hub.deliver(site.parcel(wide), "ship-1")
    assert answer.accounts[0].stored == [1, 24]
    assert answer.forked == [wide.digest]
    assert hub.stored("ship-1") == everything(24)


async def test_a_receipt_accounts_for_what_will_not_come(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    receipt = Receipt(site.incarnation, "boiler", 1, 40, Reason.THINNED, 5, "full", ("boiler.hourly", 1, 2))
    await hub.deliver(site.parcel(head=50, receipts=[receipt]), "ship-1")
    answer = await hub.deliver(site.parcel(site.batch(41, 10), head=50, receipts=[receipt]), "ship-1")
    assert (answer.accounts[0].receipted, answer.accounts[0].stored) == ([1, 40], [41, 50])
    assert hub.balances() == {("ship-1", "boiler"): (50, 10, 40, 0, 0)}
    with reading(hub.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(receipts)) == 1


async def test_records_that_come_after_their_receipt_count_as_stored(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    receipt = Receipt(site.incarnation, "boiler", 1, 40, Reason.EVICTED, 5)
    await hub.deliver(site.parcel(head=40, receipts=[receipt]), "ship-1")
    await hub.deliver(site.parcel(site.batch(1, 40)), "ship-1")
    assert hub.balances() == {("ship-1", "boiler"): (40, 40, 0, 0, 0)}


async def test_what_the_site_still_holds_is_pending_and_the_rest_a_gap(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(site.batch(1, 10), head=100, held=RangeSet.of((51, 100))), "ship-1")
    assert hub.balances() == {("ship-1", "boiler"): (100, 10, 0, 50, 40)}


async def test_an_older_statement_does_not_override_a_newer_one(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    await hub.deliver(site.parcel(head=100, held=RangeSet.of((91, 100)), number=9), "ship-1")
    await hub.deliver(site.parcel(head=50, held=RangeSet.of((1, 50)), number=8), "ship-1")
    assert hub.balances() == {("ship-1", "boiler"): (100, 0, 0, 10, 90)}


async def test_a_parcel_of_another_site_is_refused_whole(hub: HubWorld) -> None:
    thief, victim = hub.add_site("thief"), hub.add_site("victim")
    with pytest.raises(Forbidden, match="thief brought a parcel of 'victim'"):
        await hub.deliver(victim.parcel(victim.batch(1, 10)), "thief")
    forged = FakeSite("victim", hub.keys)
    forged.signer = thief.signer
    with pytest.raises((HubError, ProtocolError)):
        await hub.deliver(forged.parcel(forged.batch(1, 10)), "victim")
    stolen = victim.batch(1, 10)
    answer = await hub.deliver(thief.parcel(stolen), "thief")
    assert ([refusal.reason for refusal in answer.refusals], answer.taken) == ([Refused.UNKNOWN_EPOCH], b"")
    thief.epoch = victim.epoch
    answer = await hub.deliver(thief.parcel(stolen), "thief")
    assert ([refusal.reason for refusal in answer.refusals], answer.held) == ([Refused.NOT_AUTHENTIC], [])
    assert hub.stored("victim") == hub.stored("thief") == []


async def test_a_site_that_never_joined_is_unknown(hub: HubWorld) -> None:
    with pytest.raises(Unauthenticated, match="no site 'ghost'"):
        await hub.deliver(FakeSite("ghost", hub.keys).parcel(head=1), None)


async def test_a_revoked_site_delivers_nothing_more_at_once(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    [parcel] = hub.receiver._verifier.verify([BroughtParcel(site.parcel(site.batch(1, 10)), "ship-1")])
    assert isinstance(parcel, VerifiedParcel)
    hub.revoke("ship-1")
    with pytest.raises(SiteRevoked):
        await hub.deliver(site.parcel(site.batch(1, 10)), "ship-1")
    # Revoked between verification and commit: the transaction itself looks again.
    outcome = await hub.receiver._committed(parcel)
    assert outcome.revoked
    assert hub.stored("ship-1") == []


async def test_an_unknown_epoch_is_asked_for_and_the_batch_taken_later(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    batch = site.batch(1, 10)
    answer = await hub.deliver(site.parcel(batch, epochs=False), "ship-1")
    assert [(each.reason, each.missing, each.digest) for each in answer.refusals] == [
        (Refused.UNKNOWN_EPOCH, site.epoch_id, batch.digest)
    ]
    await hub.deliver(site.parcel(batch), "ship-1")
    await hub.deliver(site.parcel(site.batch(11, 10), epochs=False), "ship-1")
    assert hub.stored("ship-1") == everything(20)


async def test_a_dictionary_goes_before_the_batch_that_names_it(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    name = hashlib.sha256(b"words").digest()[:8]
    header = BatchHeader(Kind.RECORDS, site.incarnation, site.epoch_id, 50, "boiler", 1, 3, name)
    batch = site.key.seal(header, b"any body")
    answer = await hub.deliver(site.parcel(batch), "ship-1")
    assert [(each.reason, each.missing) for each in answer.refusals] == [(Refused.UNKNOWN_DICTIONARY, name)]
    words = site.key.seal(BatchHeader(Kind.DICTIONARY, site.incarnation, site.epoch_id, 51, "boiler", 0, 0), b"words")
    answer = await hub.deliver(site.parcel(words, batch), "ship-1")
    assert name in answer.held
    assert hub.stored("ship-1") == everything(3)


async def test_a_newer_batch_is_refused_and_its_neighbours_are_taken(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    newer = bytearray(site.batch(1, 10).raw)
    newer[0] = 2
    answer = await hub.deliver(site.parcel(bytes(newer), site.batch(11, 10)), "ship-1")
    assert [each.reason for each in answer.refusals] == [Refused.UNSUPPORTED]
    assert hub.stored("ship-1") == list(range(11, 21))


async def test_no_flipped_byte_stores_anything_false(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    raw = site.parcel(site.batch(1, 3), head=3)
    sealed = range(raw.index(site.epoch.sealed), raw.index(site.epoch.sealed) + len(site.epoch.sealed))
    step = 1 if hub.engine.dialect.name == "sqlite" else 7
    # Of the thousand random bytes of the sealed key, one in sixteen will do.
    for position in (each for each in range(0, len(raw), step) if each not in sealed or each % 16 == 0):
        damaged = bytearray(raw)
        damaged[position] ^= 0x11
        try:
            answer = await hub.deliver(bytes(damaged), "ship-1")
        except (HubError, ProtocolError):
            continue
        assert not answer.accounts or answer.accounts[0].stored in ([], [1, 3])
    assert set(hub.stored("ship-1")) <= {1, 2, 3}
    assert hub.count_batches() <= 1


async def test_a_commit_that_fails_leaves_nothing_and_the_resend_is_stored(
    hub: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = hub.add_site("ship-1")
    parcel = site.parcel(site.batch(1, 10), head=10)

    def failing(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr("farshore_hub.store.accounts.save_accounts", failing)
        with pytest.raises(OSError, match="the disk is gone"):
            await hub.deliver(parcel, "ship-1")
    assert hub.stored("ship-1") == []
    assert hub.balances() == {}
    # The key that came with the failed parcel was not stored, so it must not be believed to be.
    answer = await hub.deliver(site.parcel(site.batch(1, 10), epochs=False), "ship-1")
    assert [each.reason for each in answer.refusals] == [Refused.UNKNOWN_EPOCH]
    await hub.deliver(parcel, "ship-1")
    assert hub.stored("ship-1") == everything(10)


async def test_a_crash_at_any_statement_leaves_all_or_nothing(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    receipt = Receipt(site.incarnation, "boiler", 11, 20, Reason.EVICTED, 5)
    for dying in range(1, 40):
        ran = 0

        def die(*_: object, dying: int = dying) -> None:
            nonlocal ran
            ran += 1
            if ran == dying:
                raise KeyError("killed")

        parcel = site.parcel(site.batch(1, 10), head=20, receipts=[receipt])
        event.listen(hub.engine, "before_cursor_execute", die)
        try:
            await hub.deliver(parcel, "ship-1", hub.another_receiver())
        except KeyError:
            pass
        else:
            break
        finally:
            event.remove(hub.engine, "before_cursor_execute", die)
        assert hub.balances() in ({}, {("ship-1", "boiler"): (20, 10, 10, 0, 0)})
        assert hub.stored("ship-1") in ([], everything(10))
    else:
        pytest.fail("the parcel was never stored")
    assert hub.stored("ship-1") == everything(10)
    assert hub.balances() == {("ship-1", "boiler"): (20, 10, 10, 0, 0)}


async def test_many_parcels_at_once_share_commits_and_each_is_answered(hub: HubWorld) -> None:
    sites = [hub.add_site(f"ship-{each}") for each in range(8)]
    receiver = hub.another_receiver(threads=True)
    parcels = [(site.name, site.parcel(site.batch(1 + 10 * each, 10), head=40)) for each in range(4) for site in sites]
    answers = await asyncio.gather(*(hub.deliver(raw, name, receiver) for name, raw in parcels))
    assert [answer.site for answer in answers] == [name for name, _ in parcels]
    assert receiver.tally.commits < len(parcels)
    assert all(hub.stored(site.name) == everything(40) for site in sites)


async def test_one_bad_parcel_of_a_group_does_not_fail_its_neighbours(
    hub: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = [hub.add_site(f"ship-{each}") for each in range(5)]
    receiver = hub.another_receiver(threads=True)
    post = posting.post

    def failing_for_one(connection: Connection, parcels: Sequence[VerifiedParcel], now_us: int) -> list[Outcome]:
        if any(parcel.site.name == "ship-3" for parcel in parcels):
            raise RuntimeError("a bug that one parcel meets")
        return post(connection, parcels, now_us)

    monkeypatch.setattr("farshore_hub.receive.receiver.post", failing_for_one)
    results = await asyncio.gather(
        *(hub.deliver(site.parcel(site.batch(1, 10)), site.name, receiver) for site in sites), return_exceptions=True
    )
    assert [type(each) is RuntimeError for each in results] == [False, False, False, True, False]
    assert hub.stored("ship-3") == []
    assert hub.stored("ship-4") == everything(10)


async def test_two_hub_processes_store_the_same_parcels_once(hub: HubWorld) -> None:
    site = hub.add_site("ship-1")
    other_engine = open_engine(hub.url)
    receivers = [hub.another_receiver(threads=True), hub.another_receiver(other_engine, threads=True)]
    parcels = [site.parcel(site.batch(1 + 10 * each, 10), head=100) for each in range(10)]
    await asyncio.gather(*(hub.deliver(raw, "ship-1", receiver) for raw in parcels for receiver in receivers))
    other_engine.dispose()
    assert hub.stored("ship-1") == everything(100)
    assert hub.balances() == {("ship-1", "boiler"): (100, 100, 0, 0, 0)}


spans = st.tuples(st.integers(1, 40), st.integers(1, 15))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(st.lists(spans, min_size=1, max_size=3), min_size=1, max_size=6), number=st.integers(0))
async def test_any_overlapping_deliveries_store_exactly_their_union(
    hub: HubWorld, deliveries: list[list[tuple[int, int]]], number: int
) -> None:
    name = f"site-{hub.random.token(6).hex()}"
    site = hub.add_site(name)
    wanted: set[int] = set()
    for delivery in deliveries:
        await hub.deliver(site.parcel(*(site.batch(*span) for span in delivery)), name)
        wanted |= {n for first, count in delivery for n in range(first, first + count)}
    assert hub.stored(name) == sorted(wanted)
    produced, stored, _, _, gap = hub.balances()[name, "boiler"]
    assert (produced, stored, gap) == (max(wanted), len(wanted), max(wanted) - len(wanted))
