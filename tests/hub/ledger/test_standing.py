"""How whole sites stand, and which of them somebody asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.ledger.completeness import Gap, StreamCompleteness
from farshore_hub.ledger.standing import Choice, Order, SiteLine, Standing, chosen, summary

GAP = [Gap(b"life", "readings", 3, 4)]


def stream(**counts: object) -> StreamCompleteness:
    return StreamCompleteness("pump-1", "readings", **counts)  # type: ignore[arg-type]


def line(name: str, *streams: StreamCompleteness, heard_us: int = 0) -> SiteLine:
    made = SiteLine(name, heard_us)
    for each in streams:
        made.add(each)
    return made


WELL = stream(stored=5)
WAITING = stream(stored=5, pending=2, oldest_pending_us=7)
SILENT = stream(stored=5, silent=True)
MISSING = stream(stored=5, gaps=GAP)


def test_a_site_stands_as_the_worst_of_its_streams() -> None:
    assert line("a").standing is Standing.NEW
    assert line("a", WELL).standing is Standing.COMPLETE
    assert line("a", WELL, WAITING).standing is Standing.PENDING
    assert line("a", WAITING, SILENT, WELL).standing is Standing.UNKNOWN
    assert line("a", SILENT, MISSING, WAITING).standing is Standing.GAP


def test_a_sites_numbers_are_those_of_its_streams_and_balance() -> None:
    total = line("a", WAITING, MISSING, stream(stored=1, shed=2, quarantined=3, oldest_pending_us=4))
    assert (total.streams, total.stored, total.pending, total.gap) == (3, 11, 2, 2)
    assert total.produced == total.stored + total.pending + total.shed + total.quarantined + total.gap
    assert total.oldest_pending_us == 4


def test_the_worst_come_first() -> None:
    two, one = line("two", stream(gaps=[Gap(b"", "r", 1, 9)])), line("one", MISSING)
    lines = [line("well", WELL), line("new"), one, line("silent", SILENT), line("waits", WAITING), two]
    assert [each.name for each in chosen(lines, Choice())] == ["two", "one", "silent", "waits", "new", "well"]
    assert [each.name for each in chosen(lines, Choice(order=Order.NAME))][:2] == ["new", "one"]


def test_the_one_that_was_heard_longest_ago_comes_first() -> None:
    lines = [line("late", heard_us=9), line("early", heard_us=2), SiteLine("never")]
    assert [each.name for each in chosen(lines, Choice(order=Order.HEARD))] == ["never", "early", "late"]


def test_sites_are_found_by_a_part_of_their_name_by_standing_and_by_silence() -> None:
    silent_gap = SiteLine("pump-2", is_silent=True)
    silent_gap.add(MISSING)
    lines = [line("pump-1", WELL), silent_gap, line("well-1", MISSING)]
    assert [each.name for each in chosen(lines, Choice(search="PUMP"))] == ["pump-2", "pump-1"]
    assert [each.name for each in chosen(lines, Choice(standing=Standing.GAP))] == ["pump-2", "well-1"]
    assert [each.name for each in chosen(lines, Choice(silent=True))] == ["pump-2"]
    assert chosen(lines, Choice(search="nothing")) == []


@given(st.lists(st.sampled_from([(), (WELL,), (WAITING,), (SILENT,), (MISSING, WELL)])))
def test_the_summary_counts_every_site_once(fleet: list[tuple[StreamCompleteness, ...]]) -> None:
    lines = [line(f"site-{at}", *streams) for at, streams in enumerate(fleet)]
    counted = summary(lines)
    assert counted.sites == len(lines) == sum(counted.by_standing.values())
    assert all(counted.by_standing[standing] == len(chosen(lines, Choice(standing=standing))) for standing in Standing)
