"""What the page shows is what is known, in numbers, words and shapes; and a view is its URL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_hub.errors import Invalid
from farshore_hub.ledger.hours import HourState
from farshore_hub.ledger.standing import Choice, Order, SiteLine, Standing
from farshore_hub.views import GapView, RepairView, ResendView
from farshore_hub.web.pages.address import SPANS, FleetAddress, fleet_address
from farshore_hub.web.pages.cells import Cell, letters, ribbon, said
from farshore_hub.web.pages.render import duration, moment, number, offset, plural
from farshore_hub.web.pages.site_views import chart_of, gap_rows, parts_of
from farshore_hub.web.pages.views import fleet_page, strip
from farshore_protocol.hours import HOUR_US

CELLS = st.text(alphabet="".join(Cell), min_size=1, max_size=168)
NOW_US = 1_795_000_000_000_000


def query_of(address: FleetAddress) -> dict[str, str]:
    return dict(part.split("=", 1) for part in address.query.split("&") if part)


@given(
    st.builds(
        FleetAddress,
        st.builds(
            Choice,
            search=st.text(alphabet="abc-12", max_size=20),
            standing=st.none() | st.sampled_from(Standing),
            silent=st.booleans(),
            order=st.sampled_from(Order),
        ),
        stream=st.none() | st.sampled_from(["readings", "access-log"]),
        hours=st.sampled_from(SPANS),
        page=st.integers(1, 100),
    )
)
def test_a_view_of_the_fleet_is_its_url(address: FleetAddress) -> None:
    assert fleet_address(query_of(address)) == address


@pytest.mark.parametrize(
    "query",
    [
        {"hours": "25"},
        {"page": "0"},
        {"page": "x"},
        {"page": "٣"},
        {"standing": "good"},
        {"sort": "'"},
        {"stream": "a b"},
        {"search": "x" * 64},
    ],
)
def test_a_url_that_makes_no_sense_is_refused_in_words(query: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        fleet_address(query)


def test_what_a_url_does_not_know_is_left_alone() -> None:
    assert fleet_address({"utm": "x", "search": " "}) == FleetAddress()


@given(CELLS)
def test_a_ribbon_shows_every_hour_once(cells: str) -> None:
    drawn = ribbon(cells)
    runs = "".join(letter * int(count) for letter, count in _pairs(drawn.runs))
    assert runs == cells
    assert drawn.hours == len(cells)
    assert {letter for letter, _ in drawn.paths} == set(cells) - {Cell.NONE}


def test_no_two_states_have_the_same_shape() -> None:
    shapes = [ribbon(cell).paths for cell in Cell]
    assert len({tuple(path for _, path in paths) for paths in shapes}) == len(Cell)


def test_a_ribbon_says_in_words_what_it_shows_the_worst_first() -> None:
    assert said("ccpg") == "last 4 hours: 1 missing, 1 at the edge, 2 complete"
    assert said("nn") == "no hours are known"


def test_every_state_of_an_hour_has_its_letter() -> None:
    assert len(set(letters(HourState))) == len(HourState)


@given(st.lists(st.text(alphabet="".join(Cell), min_size=24, max_size=24), max_size=20))
def test_the_strip_stands_for_every_site_that_is_not_complete(rows: list[str]) -> None:
    drawn = strip(rows, 24)
    for hour in range(24):
        bars = [bar for bar in drawn.bars if bar.x == hour]
        count = sum(row[hour] in "gup" for row in rows)
        assert sum(bar.height for bar in bars) == pytest.approx(100 * count / drawn.most if count else 0, abs=0.1)
    assert drawn.most == max((sum(row[hour] in "gup" for row in rows) for hour in range(24)), default=0)


def test_the_fleet_has_pages_and_says_where_one_is() -> None:
    lines = [SiteLine(f"site-{at:03}") for at in range(250)]
    middle = fleet_page(FleetAddress(page=2), lines, {}, NOW_US)
    assert (middle.first, middle.last, middle.found, len(middle.rows)) == (101, 200, 250, 100)
    assert (middle.before, middle.after) == ("/", "/?page=3")
    last = fleet_page(FleetAddress(page=3), lines, {}, NOW_US)
    assert (last.first, last.last, last.after) == (201, 250, None)
    beyond = fleet_page(FleetAddress(page=9), lines, {}, NOW_US)
    assert (beyond.rows, beyond.first, beyond.after) == ([], 0, None)


def test_a_site_whose_hours_are_not_known_shows_none() -> None:
    page = fleet_page(FleetAddress(), [SiteLine("a"), SiteLine("b")], {"b": "c" * 24}, NOW_US)
    assert [row.hours.runs for row in page.rows] == ["n24", "c24"]
    assert page.until_us - page.from_us == 24 * HOUR_US
    assert page.from_us <= NOW_US < page.until_us


def test_the_chips_count_all_sites_and_lead_to_them() -> None:
    page = fleet_page(FleetAddress(Choice(search="a"), hours=48), [SiteLine("a"), SiteLine("b")], {}, NOW_US)
    assert {chip.label: chip.count for chip in page.chips}["sites"] == 2
    new = next(chip for chip in page.chips if chip.state == "new")
    assert (new.count, new.url) == (2, "/?search=a&standing=new&hours=48")


@given(st.tuples(*[st.integers(0, 10**12)] * 5))
def test_the_parts_of_a_bar_fill_it_and_none_that_is_there_is_hidden(counts: tuple[int, ...]) -> None:
    line = SiteLine("a", stored=counts[0], pending=counts[1], shed=counts[2], quarantined=counts[3], gap=counts[4])
    parts = parts_of(line)
    assert [part.count for part in parts] == list(counts)
    assert sum(part.width for part in parts) == pytest.approx(1000 if sum(counts) else 0, abs=0.1)
    assert all((part.width > 1) == bool(part.count) for part in parts)


def test_the_backlog_of_an_hour_is_what_waits_now_without_what_came_and_went_since() -> None:
    def at(hour: int) -> int:
        return hour * HOUR_US

    lines: Any = [_Line(at(1), 10), _Line(at(2), 10), _Line(at(3), 10)]
    chart = json.loads(chart_of({at(1): 10, at(3): 5}, lines, 15, at(1), 3))
    shown = {each["label"]: each["values"] for each in chart["series"]}
    assert chart["times"] == [3600, 7200, 10800]
    assert shown == {"stored": [10, 0, 5], "produced": [10, 10, 10], "backlog": [0, 10, 15]}


def test_numbers_are_grouped_from_five_digits_on() -> None:
    assert [number(value) for value in (0, 9999, 10_000, 1_234_567)] == [
        "0",
        "9999",
        "10\u202f000",
        "1\u202f234\u202f567",
    ]
    assert (plural(1, "site"), plural(2, "site"), plural(0, "copy", "copies")) == ("1 site", "2 sites", "0 copies")


def test_a_time_is_utc_for_machines_and_has_it_as_its_hint() -> None:
    shown = str(moment(NOW_US))
    assert shown.startswith('<time datetime="2026-11-18T11:06:40Z" title="2026-11-18 11:06:40 UTC">')
    assert "never" in str(moment(None))
    assert "out of range" in str(moment(2**62))


def test_offsets_and_durations_have_the_unit_that_fits() -> None:
    assert [offset(us) for us in (None, 0, -52_000, 1_500_000, -7_200_000_000)] == [
        "not known",
        "±0 ms",
        "\u221252 ms",
        "+1.5 s",
        "\u22122 h",
    ]
    assert [duration(s) for s in (0, 59, 3661, 90_000)] == ["0 s", "59 s", "1 h 1 min", "1 d 1 h"]


class _Line:
    def __init__(self, hour_us: int, produced: int) -> None:
        self.hour_us, self.produced = hour_us, produced


def _pairs(runs: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for char in runs:
        if char.isdigit():
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + char)
        else:
            pairs.append((char, ""))
    return pairs


def repair(first: int, last: int, outcome: str | None) -> RepairView:
    return RepairView(
        stream="boiler",
        incarnation="aa" * 8,
        first=first,
        last=last,
        cause="batch",
        found_us=5,
        settled_us=7 if outcome else None,
        outcome=outcome,
    )


def test_what_is_asked_for_again_is_no_loss_and_what_has_ended_comes_last() -> None:
    gaps = [GapView(incarnation="aa" * 8, stream="boiler", first=1, last=9)]
    rows = gap_rows(gaps, [repair(20, 30, "healed"), repair(4, 6, None)])
    assert [(row.repair, row.first, row.last, row.at_us) for row in rows] == [
        ("wanted", 4, 6, 5),
        ("lost", 1, 3, None),
        ("lost", 7, 9, None),
        ("healed", 20, 30, 7),
    ]
    assert [row.count for row in rows] == [3, 3, 3, 11]


def resend(first: int, last: int, outcome: str | None, text: str = "") -> ResendView:
    return ResendView(
        stream="boiler",
        first=first,
        last=last,
        asked_us=5,
        asked_by="ann",
        settled_us=7 if outcome else None,
        outcome=outcome,
        text=text,
    )


def test_what_a_person_has_asked_for_says_so_and_what_the_site_answered() -> None:
    gaps = [GapView(incarnation="aa" * 8, stream="boiler", first=at, last=at + 1) for at in (1, 11, 21, 31)]
    resends = [
        resend(11, 12, None),
        resend(11, 12, "done", "an older answer"),
        resend(21, 22, "done", "0 batch(es)"),
        resend(31, 32, "expired"),
    ]
    rows = gap_rows(gaps, [], resends)
    assert [(row.first, row.repair, row.at_us) for row in rows] == [
        (11, "asked", 5),
        (1, "lost", None),
        (21, "lost", 7),
        (31, "lost", 7),
    ]
    assert [row.what.split("; ")[-1] for row in rows] == [
        "the site was asked again",
        "nowhere: nobody has them",
        "asked again, the site says: 0 batch(es)",
        "asked again, the site says: the question is expired",
    ]
