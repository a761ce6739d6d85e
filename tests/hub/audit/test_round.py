"""Each kind of damage is found, exactly; a sound hub has none; and what is damaged is healed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from farshore_hub.audit.differences import AuditReport
from farshore_hub.audit.lake import LakeCare
from farshore_hub.audit.round import Part, Position, Round
from farshore_hub.store import damages
from farshore_hub.store.audit import Scope
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import intervals, row_digests
from farshore_protocol.messages import Reason, Receipt
from tests.hub.audit.world import PER_BATCH, STREAM, AuditWorld

NOTHING = "none"


@pytest.fixture(params=[False, True], ids=["sealed-kept", "sealed-forgotten"])
def forgotten(request: pytest.FixtureRequest) -> bool:
    """Whether the sealed batches were given up."""
    return bool(request.param)


async def test_a_sound_hub_has_no_differences(hub: AuditWorld, forgotten: bool) -> None:
    await hub.fill(hub.add_site("ship"), hub.add_site("shore"))
    if forgotten:
        hub.forget_payloads()
    assert hub.audit() == []
    hub.table.optimize.compact()
    assert hub.audit() == []


async def test_a_flipped_bit_of_a_sealed_batch_is_found_and_wanted_again(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    batch = site.batch(1, PER_BATCH)
    await hub.deliver(site.parcel(batch, site.batch(101, PER_BATCH), head=200), "ship")
    hub.flip_batch("ship", 1)
    assert hub.found() == [("batch", "ship", "1…100", NOTHING, NOTHING, NOTHING)]
    hub.audit(repairs=True)
    answer = await hub.deliver(site.parcel(head=200), "ship")
    assert answer.accounts[0].wanted == [1, 100]
    await hub.deliver(site.parcel(batch), "ship")
    assert hub.audit() == []
    assert hub.stored("ship") == list(range(1, 201))


@pytest.mark.parametrize("deed", ["delete", "double", "alter"])
async def test_a_wrong_row_of_the_lake_is_found_exactly_and_healed(hub: AuditWorld, deed: str, forgotten: bool) -> None:
    site = hub.add_site("ship")
    await hub.fill(site, hub.add_site("shore"))
    before = hub.rows()
    getattr(hub, f"{deed}_row")(150)
    if forgotten:
        hub.forget_payloads()
    missing = "150" if deed == "delete" else NOTHING
    doubled = "150" if deed == "double" else NOTHING
    altered = "150" if deed == "alter" and not forgotten else NOTHING
    assert hub.found() == [("rows", name, "101…200", missing, doubled, altered) for name in ("ship", "shore")]
    hub.audit(repairs=True)
    if forgotten and deed != "double":
        for name in ("ship", "shore"):
            assert hub.balances()[name, STREAM] == (300, 200, 0, 0, 100)
        await hub.deliver(site.parcel(site.batch(101, PER_BATCH)), "ship")
        await hub.writer.drain()
        before = [row for row in before if row[0] == "ship" or not 101 <= row[1] <= 200]
        assert [row for row in hub.rows() if row[0] == "ship"] == [row for row in before if row[0] == "ship"]
    assert hub.rows() == before
    assert hub.audit() == []


@pytest.mark.parametrize("deed", ["gone", "flipped", "cut", "empty"])
async def test_a_file_of_the_lake_that_is_gone_or_rotted_is_found_and_rebuilt_from_sealed_batches(
    hub: AuditWorld, deed: str
) -> None:
    await hub.fill(hub.add_site("ship"), hub.add_site("shore"))
    before = hub.rows()
    victim = hub.files[0]
    spoil(victim, deed)
    kinds = [each[0] for each in hub.found()]
    assert kinds in (["file", "rows", "rows", "rows"], ["rows"])
    hub.audit(repairs=True)
    assert hub.rows() == before
    assert hub.audit() == []


async def test_every_flipped_byte_of_a_file_is_found_or_changes_no_row(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"), batches=1)
    [victim] = hub.files
    sound, before = victim.read_bytes(), hub.rows()
    unseen = 0
    for at in range(0, len(sound), 97):
        victim.write_bytes(sound[:at] + bytes((sound[at] ^ 0x10,)) + sound[at + 1 :])
        if not hub.found():
            assert hub.rows() == before
            unseen += 1
    victim.write_bytes(sound)
    assert hub.found() == []
    # Padding, statistics and the writer's name hold no record.
    assert unseen < len(sound) / 97 / 2


async def test_what_a_rotted_file_held_and_no_sealed_batch_has_is_wanted_again(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    await hub.fill(site)
    hub.forget_payloads()
    spoil(hub.files[0], "cut")
    assert [each[0] for each in hub.found()] == ["file", "rows", "rows", "rows"]
    hub.audit(repairs=True)
    assert hub.balances()["ship", STREAM] == (300, 0, 0, 0, 300)
    answer = await hub.deliver(site.parcel(head=300), "ship")
    assert answer.accounts[0].wanted == [1, 300]
    gone = Receipt(site.incarnation, STREAM, 201, 300, Reason.UNRETAINED, 5, "no longer kept")
    again = [site.batch(1, PER_BATCH), site.batch(101, PER_BATCH)]
    await hub.deliver(site.parcel(*again, head=300, receipts=[gone]), "ship")
    await hub.writer.drain()
    assert hub.balances()["ship", STREAM] == (300, 200, 100, 0, 0)
    assert [row[1] for row in hub.rows()] == list(range(1, 201))
    assert hub.audit() == []
    with reading(hub.engine) as connection:
        assert {(each.outcome, each.records) for each in damages.tally(connection)} == {("healed", 200), ("lost", 100)}


async def test_a_table_that_is_gone_is_written_again(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"))
    before = hub.rows()
    (hub.folder / STREAM).rename(hub.folder.parent / "elsewhere")
    assert [each[0] for each in hub.found()] == ["file"]
    hub.audit(repairs=True)
    await hub.writer.drain()
    assert hub.rows() == before
    assert hub.audit() == []


async def test_rows_that_no_batch_has_are_told_and_left(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"))
    hub.table.update({"_seq": "_seq + 1000"}, predicate="_seq = 7")
    assert [each[0] for each in hub.found()] == ["rows", "foreign"]
    hub.audit(repairs=True)
    assert [(each.kind, each.what) for each in hub.audit()] == [
        ("foreign", "the lake's table of boiler has 1 row(s) that no batch has")
    ]


async def test_a_ledger_that_says_too_much_is_found_and_asks_again(hub: AuditWorld) -> None:
    site = hub.add_site("ship")
    await hub.deliver(site.parcel(site.batch(1, 10), head=20), "ship")
    with writing(hub.engine) as connection:
        connection.execute(update(intervals).values(last=15))
    assert [each[:3] for each in hub.found()] == [("unbacked", "ship", "11…15"), ("miscounted", "ship", NOTHING)]
    hub.audit(repairs=True)
    answer = await hub.deliver(site.parcel(head=20), "ship")
    assert answer.accounts[0].wanted == [11, 15]
    assert hub.audit() == []


async def test_an_audit_of_a_site_a_stream_or_a_time_looks_at_no_more(hub: AuditWorld) -> None:
    ship, shore = hub.add_site("ship"), hub.add_site("shore")
    await hub.fill(ship, shore)
    hub.delete_row(50)
    assert [each.site for each in hub.audit(Scope(site="shore"))] == ["shore"]
    assert [each[1] for each in hub.found(Scope(stream=STREAM))] == ["ship", "shore"]
    assert hub.found(Scope(stream="other")) == []
    assert hub.found(Scope(since_us=hub.clock.now_us() + 1)) == []


async def test_a_round_goes_on_where_it_stopped(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"), hub.add_site("shore"))
    hub.delete_row(50)
    whole = hub.audit_in_pieces(1)
    assert [(each.kind, each.site) for each in whole] == [("rows", "ship"), ("rows", "shore")]


async def test_a_table_that_changed_meanwhile_is_read_again_and_is_not_done_before(
    hub: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that was killed between the two looks left the rest of the table out."""
    await hub.fill(hub.add_site("ship"))
    outdated = [True, False]
    monkeypatch.setattr(LakeCare, "is_outdated", lambda *_: outdated.pop(0))
    report = AuditReport()
    steps = Round(hub.engine, hub.care, hub.clock, report).steps(Position(Part.LAKE))
    assert [step.position for step in steps if step.position] == [Position(Part.LAKE, 0, STREAM)]
    assert (outdated, report.rows) == ([], 3 * PER_BATCH)


async def test_what_an_older_version_has_written_is_judged_by_its_sealed_batches(hub: AuditWorld) -> None:
    await hub.fill(hub.add_site("ship"))
    with writing(hub.engine) as connection:
        connection.execute(delete(row_digests))
    assert hub.audit() == []
    hub.delete_row(50)
    assert [each[:4] for each in hub.found()] == [("rows", "ship", "1…100", "50")]
    hub.audit(repairs=True)
    assert hub.audit() == []


async def test_the_same_holds_on_postgresql(hub_on_postgres: AuditWorld) -> None:
    hub = hub_on_postgres
    site = hub.add_site("ship")
    await hub.fill(site)
    before = hub.rows()
    assert hub.audit() == []
    hub.flip_batch("ship", 1)
    hub.alter_row(150)
    hub.delete_row(50)
    assert [each[:3] for each in hub.found()] == [
        ("spare", "ship", "1…100"),
        ("rows", "ship", "1…100"),
        ("rows", "ship", "101…200"),
    ]
    hub.audit(repairs=True)
    await hub.deliver(site.parcel(site.batch(1, PER_BATCH)), "ship")
    await hub.writer.drain()
    assert hub.rows() == before
    assert hub.audit() == []


def spoil(path: Path, deed: str) -> None:
    raw = path.read_bytes()
    if deed == "gone":
        path.unlink()
    elif deed == "flipped":
        # In the middle of the first column's pages.
        path.write_bytes(raw[:40] + bytes((raw[40] ^ 0xFF,)) + raw[41:])
    else:
        path.write_bytes(raw[: len(raw) // 2] if deed == "cut" else b"")
