"""Losses have a cause; forks are kept whole and can be exported."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.audit.found import export_fork, find_losses, list_forks, show_fork
from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.damage import Outcome
from farshore_hub.ledger.losses import Damage, GivenUp, LossCause, LossState, losses
from farshore_protocol.messages import Reason, Receipt
from farshore_protocol.ranges import RangeSet
from tests.hub.audit.world import PER_BATCH, STREAM, AuditWorld

spans = st.tuples(st.integers(1, 40), st.integers(0, 12)).map(lambda of: RangeSet(((of[0], of[0] + of[1]),)))
sets = st.lists(spans, max_size=4).map(lambda some: RangeSet.of(*(span for one in some for span in one)))


@given(
    stored=sets,
    wanted=sets,
    held=sets,
    head=st.integers(0, 60),
    receipts=st.lists(st.tuples(spans, st.sampled_from(Reason)), max_size=5),
    damages=st.lists(st.tuples(spans, st.sampled_from([None, *Outcome])), max_size=4),
)
def test_losses_are_exactly_what_is_shed_or_a_gap_and_none_is_told_twice(
    stored: RangeSet,
    wanted: RangeSet,
    held: RangeSet,
    head: int,
    receipts: list[tuple[RangeSet, Reason]],
    damages: list[tuple[RangeSet, Outcome | None]],
) -> None:
    receipted = RangeSet.of(*(span for ranges, _ in receipts for span in ranges))
    account = Account(stored, receipted, wanted & stored, head, held)
    given_up = [GivenUp(ranges, reason, 1, "") for ranges, reason in receipts]
    found = losses(account, given_up, [Damage(ranges, 2, outcome) for ranges, outcome in damages])
    stands = balance(account)
    missing = (receipted - (account.stored - account.wanted)) | stands.gaps
    assert RangeSet.of(*((each.first, each.last) for each in found)) == missing
    assert sum(each.last - each.first + 1 for each in found) == stands.receipted + stands.gap


async def test_each_loss_has_its_cause(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    batches = [site.batch(1 + each * PER_BATCH, PER_BATCH) for each in range(3)]
    await hub.deliver(site.parcel(*batches, head=600, held=RangeSet.of((501, 600))), "ship")
    for first in (1, 101, 201):
        hub.flip_batch("ship", first)
    found_us = hub.clock.now_us()
    hub.audit(repairs=True)
    hub.clock.at_us += 1_000_000
    life = site.incarnation
    given_up = [
        Receipt(life, STREAM, 101, 200, Reason.UNRETAINED, 7, "no longer kept"),
        Receipt(life, STREAM, 301, 320, Reason.EVICTED, 8, "full"),
        Receipt(life, STREAM, 321, 340, Reason.DAMAGED, 9),
        Receipt(life, STREAM, 341, 360, Reason.UNRETAINED, 10),
    ]
    await hub.deliver(site.parcel(batches[0], head=600, held=RangeSet.of((501, 600)), receipts=given_up), "ship")
    told = find_losses(hub.engine)
    assert told.is_whole
    assert [(each.first, each.last, each.cause, each.state, each.since_us) for each in told.losses] == [
        (101, 200, LossCause.HUB_DAMAGE, LossState.LOST, found_us),
        (201, 300, LossCause.HUB_DAMAGE, LossState.WANTED, found_us),
        (301, 320, LossCause.EVICTED, LossState.LOST, 8),
        (321, 340, LossCause.DAMAGED_AT_EDGE, LossState.LOST, 9),
        (341, 360, LossCause.HUB_RESTORED, LossState.LOST, 10),
        (361, 500, LossCause.UNKNOWN, LossState.MISSING, None),
    ]
    assert [each.first for each in find_losses(hub.engine, "ship", STREAM, LossCause.EVICTED).losses] == [301]
    assert not find_losses(hub.engine, limit=2).is_whole
    assert find_losses(hub.engine, stream="other").losses == []


def exported(hub: AuditWorld, fork: int) -> list[Any]:
    return [json.loads(line) for line in b"".join(export_fork(hub.engine, hub.opener, fork)).splitlines()]


async def test_a_fork_is_listed_shown_and_exported(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    first, second = site.batch(1, 10, says="one"), site.batch(1, 10, says="two")
    await hub.deliver(site.parcel(first), "ship")
    await hub.deliver(site.parcel(second), "ship")
    [fork] = list_forks(hub.engine)
    assert (fork.site, fork.first, fork.last, fork.aside, fork.digest) == (
        "ship",
        1,
        10,
        [(1, 10)],
        second.digest.hex(),
    )
    shown = show_fork(hub.engine, fork.id)
    assert [each.digest for each in shown.in_its_place] == [first.digest.hex()]
    lines = exported(hub, fork.id)
    assert lines == [{"n": n, "says": "two"} for n in range(1, 11)]
    assert list_forks(hub.engine, stream="other") == []


async def test_what_was_not_taken_of_an_overlapping_batch_is_kept_longer_than_its_payload(hub: AuditWorld) -> None:
    """Its bytes went with the payloads, 30 days after the part that was taken was in the lake."""
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10, says="one")), "ship")
    await hub.deliver(site.parcel(site.batch(5, 10, says="two")), "ship")
    await hub.writer.drain()
    hub.forget_payloads()
    [fork] = list_forks(hub.engine)
    assert fork.aside == [(5, 10)]
    lines = exported(hub, fork.id)
    assert lines == [{"n": n, "says": "two"} for n in range(5, 11)]
