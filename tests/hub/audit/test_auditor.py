"""The running hub audits by itself: when it is due, at its pace, one process at a time, on from where it stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import select

from farshore_hub.audit import auditor as auditors
from farshore_hub.audit import progress
from farshore_hub.audit.auditor import Auditor, AuditPace, ask_for_audit
from farshore_hub.audit.progress import AuditState
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.store.engine import reading
from farshore_hub.store.schema import damages
from tests.contracts.hub_world import inline
from tests.hub.audit.world import PER_BATCH, AuditWorld

DAY_US = 86_400_000_000
WEEK = AuditPace(every_us=7 * DAY_US, bytes_per_s=1 << 20)


class Killed(BaseException):
    """The process ends here."""


def state_of(hub: AuditWorld) -> AuditState:
    with reading(hub.engine) as connection:
        return progress.load(connection)


async def watch(hub: AuditWorld, pace: AuditPace = WEEK, *, looks: int = 2, writer: LakeWriter | None = None) -> None:
    """Let an auditor look so many times whether anything is to be done, as a hub does that runs."""
    running = Auditor(hub.engine, hub.care, writer or hub.writer, hub.clock, inline, pace)
    before = hub.clock.at_us
    task = asyncio.ensure_future(running.run())
    while hub.clock.at_us < before + looks * int(auditors.LOOK_EVERY_S * 1e6) and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_hub_audits_when_it_is_due_and_heals_what_it_finds(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    await hub.fill(site)
    before = hub.rows()
    await watch(hub)
    first = state_of(hub)
    assert (first.next_us, first.last) == (hub.clock.at_us - 10_000_000 + DAY_US, None)
    hub.delete_row(150)
    hub.clock.at_us += DAY_US
    await watch(hub)
    state = state_of(hub)
    assert state.last is not None
    assert state.present is None
    assert state.last.report.found == {"rows": 1}
    assert [str(each.missing) for each in state.last.report.differences] == ["150"]
    assert state.next_us == state.last.started_us + WEEK.every_us
    assert hub.rows() == before


async def test_an_audit_that_is_asked_for_begins_at_once(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"))
    await watch(hub)
    ask_for_audit(hub.engine, hub.clock.now_us())
    await watch(hub)
    state = state_of(hub)
    assert state.last is not None
    assert state.last.report.is_sound


async def test_an_audit_reads_no_quicker_than_it_may(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"))
    ask_for_audit(hub.engine, hub.clock.now_us())
    began_us = hub.clock.now_us()
    await watch(hub, AuditPace(DAY_US, bytes_per_s=100), looks=1000)
    last = state_of(hub).last
    assert last is not None
    assert last.ended_us is not None
    assert last.read_bytes > 1000
    assert (last.ended_us - began_us) / 1e6 >= last.read_bytes / 100 - 1


async def test_a_hub_that_is_killed_in_an_audit_goes_on_where_it_was(
    hub: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hub.fill(hub.add_site("ship"), hub.add_site("shore"), batches=10)
    hub.delete_row(50)
    ask_for_audit(hub.engine, hub.clock.now_us())
    monkeypatch.setattr(auditors, "KEEP_EVERY_S", 0)
    saves, keep = 0, Auditor._keep

    def die(self: Auditor, kept: progress.Kept) -> None:
        nonlocal saves
        saves += 1
        keep(self, kept)
        if saves % 2 == 0:
            raise Killed

    monkeypatch.setattr(Auditor, "_keep", die)
    deaths = 0
    while state_of(hub).last is None:
        try:
            await watch(hub)
        except Killed:
            deaths += 1
            position = state_of(hub).present
            assert position is not None
    last = state_of(hub).last
    assert last is not None
    assert deaths >= 2
    # Nothing is read twice, nothing is left out, and nothing is told twice.
    assert (last.report.accounts, last.report.batches, last.report.rows) == (2, 20, 2 * 10 * PER_BATCH - 2)
    assert last.report.found == {"rows": 2}
    assert hub.audit() == []


async def test_only_the_process_that_writes_the_lake_audits(hub_on_postgres: AuditWorld) -> None:
    hub = hub_on_postgres
    await hub.fill(hub.add_site("ship"))
    other = LakeWriter(hub.engine, hub.opener, hub.tables, hub.lease(), hub.clock, inline)
    assert not other._hold()
    ask_for_audit(hub.engine, hub.clock.now_us())
    await watch(hub, writer=other)
    assert state_of(hub).last is None
    hub.writer._release()
    assert other._hold()
    await watch(hub, writer=other)
    other._release()
    assert state_of(hub).last is not None


async def test_a_damage_is_kept_with_when_it_was_found_and_how_it_ended(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    batch = site.batch(1, PER_BATCH)
    await hub.deliver(site.parcel(batch, head=PER_BATCH), "ship")
    hub.flip_batch("ship", 1)
    found_us = hub.clock.now_us()
    hub.audit(repairs=True)
    hub.clock.at_us += 60_000_000
    answer = await hub.deliver(site.parcel(), "ship")
    # In every answer, not only in those to whole statements.
    assert [account.wanted for account in answer.accounts] == [[1, PER_BATCH]]
    await hub.deliver(site.parcel(batch), "ship")
    with reading(hub.engine) as connection:
        row = connection.execute(select(damages)).one()
    assert (row.first, row.last, row.cause, row.size) == (1, PER_BATCH, "batch", len(batch.raw))
    assert (row.found_us, row.settled_us, row.outcome) == (found_us, found_us + 60_000_000, "healed")
    # What is healed is not spoken of again.
    answer = await hub.deliver(site.parcel(), "ship")
    assert answer.accounts == []


async def test_what_a_site_has_forgotten_is_given_up_and_stays_a_gap(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, PER_BATCH), head=PER_BATCH), "ship")
    hub.flip_batch("ship", 1)
    hub.audit(repairs=True)
    await hub.deliver(site.parcel(whole=True), "ship")
    with reading(hub.engine) as connection:
        assert connection.scalar(select(damages.c.outcome)) == "lost"
    assert hub.balances()["ship", "boiler"] == (PER_BATCH, 0, 0, 0, PER_BATCH)
