"""File formats: wherever a file is cut into pieces, the same records come out."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer.model import Refused
from farshore_agent.buffer.shaped import mappings
from farshore_agent.collect.csvrows import MAX_ROW_BYTES, CsvFormat, typed
from farshore_agent.collect.formats import (
    FileFormat,
    Format,
    State,
    UnusableFile,
    format_of,
    read_ndjson,
    read_piece,
    read_text,
)
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import MAX_RECORD_BYTES

NOW_US = 1_795_422_600_000_000
BY_TS = StreamPolicy("readings", time_field="ts")
BY_ARRIVAL = StreamPolicy("readings", time_field=None)
HEAD = b"ts,name,v\n"


def read_all(
    read: Format, content: bytes, *, policy: StreamPolicy = BY_TS, step: int = 2**30
) -> tuple[list[dict[str, object]], list[Refused], bytes]:
    """Feed the file `step` bytes at a time; the last piece is final. Returns what is not consumed, too."""
    records: list[dict[str, object]] = []
    refused: list[Refused] = []
    state, rest = State(), b""
    for at in range(0, len(content), step):
        rest += content[at : at + step]
        final = at + step >= len(content)
        while rest:
            piece = read_piece(read, rest, state, policy, NOW_US, final=final)
            records += mappings(piece.admitted.records)
            refused += piece.admitted.refused
            state, rest = piece.state, rest[piece.consumed :]
            if not piece.consumed:
                break
    return records, refused, rest


def by_csv(content: bytes) -> list[dict[str, object]]:
    records, refused, rest = read_all(CsvFormat(), content)
    assert (refused, rest) == ([], b"")
    return records


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("", None),
        ("NA", None),
        ("0", 0),
        ("-17", -17),
        ("12345678901234567890123", 12345678901234567890123),
        ("21.50", 21.5),
        ("-.5", -0.5),
        ("-0.0", -0.0),
        ("1e-3", 0.001),
        ("007", "007"),
        ("1_000", "1_000"),
        (" 1", " 1"),
        ("+5", "+5"),
        ("5.", "5."),
        ("1e999", "1e999"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("-", "-"),
        ("e5", "e5"),
        (".", "."),
        ("٣", "٣"),
        ("2026-11-23 08:30:00", "2026-11-23 08:30:00"),
        ("9" * 400, "9" * 400),
    ],
)
def test_a_cell_becomes_what_it_is_written_like(cell: str, value: object) -> None:
    assert repr(typed(cell)) == repr(value)


def test_rows_become_records_with_the_names_of_the_header() -> None:
    assert by_csv(HEAD + b"2026-11-23,a,1\n2026-11-24,,2.5\n") == [
        {"ts": "2026-11-23", "name": "a", "v": 1},
        {"ts": "2026-11-24", "name": None, "v": 2.5},
    ]


def test_quoted_cells_may_hold_line_ends_delimiters_and_quotes() -> None:
    content = HEAD + b'2026-11-23,"one\ntwo\r\n, ""three""",1\r\n2026-11-24,b,2\r\n'
    assert [record["name"] for record in by_csv(content)] == ['one\ntwo\r\n, "three"', "b"]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    for head in (b"\xef\xbb\xbfts,v\n", b'\xef\xbb\xbf"ts",v\n'):
        assert by_csv(head + b"2026-11-23,1\n") == [{"ts": "2026-11-23", "v": 1}]


def test_another_delimiter_can_be_set() -> None:
    records, _, _ = read_all(CsvFormat(";"), b"ts;v\n2026-11-23;1,5\n")
    assert records == [{"ts": "2026-11-23", "v": "1,5"}]


def test_a_bad_row_is_refused_with_its_line_and_the_others_are_kept() -> None:
    content = (
        HEAD + b'2026-11-23,"a\nb",1\n2026-11-23,a\n\n2026-11-23,"x"y,3\nnever,c,4\n2026-11-23,\xff,5\n2026-11-23,d,6\n'
    )
    records, refused, rest = read_all(CsvFormat(), content)
    assert [record["v"] for record in records] == [1, 6]
    assert [(one.line, one.field) for one in refused] == [(4, None), (6, None), (7, "ts"), (8, None)]
    assert [one.why.split(":")[0] for one in refused] == [
        "has 2 cells, the header names 3 columns",
        "not a CSV row",
        "'never' is not an ISO 8601 time such as 2026-11-23T08",
        "not UTF-8 at byte 12",
    ]
    assert refused[2].raw == "never,c,4"
    assert rest == b""


def test_a_quote_that_is_never_closed_costs_one_line_and_not_the_file() -> None:
    content = HEAD + b'2026-11-23,"open,1\n' + b"2026-11-23,a,2\n" * 10_000
    assert len(content) > 2 * MAX_ROW_BYTES
    for step in (2**30, 64 * 1024):
        records, refused, rest = read_all(CsvFormat(), content, step=step)
        assert (len(records), rest) == (10_000, b"")
        assert [(one.line, one.raw) for one in refused] == [(2, '2026-11-23,"open,1')]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"time,v\n", "no column 'ts'"),
        (b"ts,v,v\n", "name every column once"),
        (b"ts,,v\n", "name every column once"),
        (b'"ts"x,v\n', "name every column once"),
    ],
)
def test_a_file_whose_header_is_no_use_is_not_taken(head: bytes, why: str) -> None:
    with pytest.raises(UnusableFile, match=why):
        read_all(CsvFormat(), head + b"1,2\n")


def test_only_whole_lines_are_taken_of_a_file_that_may_grow() -> None:
    piece = read_piece(read_ndjson, b'{"ts": "2026-11-23"}\n{"ts": ', State(), BY_TS, NOW_US, final=False)
    assert (len(piece.admitted.records), piece.consumed, piece.state.line) == (1, 21, 1)
    piece = read_piece(CsvFormat(), HEAD + b'2026-11-23,"a\nb\n', State(), BY_TS, NOW_US, final=False)
    assert (piece.admitted.records, piece.consumed) == ([], len(HEAD))


def test_lines_of_text_become_messages_with_the_time_of_their_arrival() -> None:
    records, refused, _ = read_all(read_text, b"one\r\n\n  two  \n\xff\nthree \xe2\x82\xac")
    assert records == [{"message": "one"}, {"message": "  two  "}, {"message": "three €"}]
    assert [(one.line, one.why) for one in refused] == [(4, "not UTF-8 at byte 1")]


@pytest.mark.parametrize("read", [read_ndjson, read_text, CsvFormat()])
def test_a_line_without_end_is_refused_once_and_skipped_however_long_it_is(read: Format) -> None:
    good = {read_ndjson: b'{"ts": "2026-11-23"}\n', read_text: b"fine\n"}.get(read, b"2026-11-23,a,1\n")
    head = HEAD if isinstance(read, CsvFormat) else b""
    content = head + good + b"a" * (5 * MAX_RECORD_BYTES) + b"\n" + good
    records, refused, rest = read_all(read, content, step=64 * 1024)
    assert (len(records), len(refused), rest) == (2, 1, b"")
    assert refused[0].line == head.count(b"\n") + 2
    assert "longer than 1048576 bytes" in refused[0].why


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        ("a.csv", FileFormat.AUTO, FileFormat.CSV),
        ("a.B.CSV.gz", FileFormat.AUTO, FileFormat.CSV),
        ("a.jsonl", FileFormat.AUTO, FileFormat.NDJSON),
        ("messages.log", FileFormat.AUTO, FileFormat.TEXT),
        ("a.xls", FileFormat.TEXT, FileFormat.TEXT),
    ],
)
def test_the_ending_tells_the_format(name: str, wanted: FileFormat, found: FileFormat) -> None:
    assert format_of(name, wanted) is found


def test_an_ending_that_tells_nothing_is_an_error() -> None:
    with pytest.raises(UnusableFile, match=r"the ending '\.xls' tells no format"):
        format_of("a.xls", FileFormat.AUTO)


cells = st.text(alphabet='ab",\n\r1.é ', max_size=6)


@given(rows=st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8), step=st.integers(1, 40))
def test_what_a_csv_writer_wrote_is_read_back_wherever_it_is_cut(rows: list[list[str]], step: int) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    records, refused, rest = read_all(CsvFormat(), out.getvalue().encode(), policy=BY_ARRIVAL, step=step)
    assert records == [{"a": typed(one), "b": typed(two)} for one, two in rows]
    assert (refused, rest) == ([], b"")


lines = st.lists(
    st.sampled_from([b'{"ts":1}', b"x", b"", b"\xff", b"\r", b"ts,a", b'"', b'1,"', b",", b"2,3"]), max_size=12
)


@given(lines=lines, step=st.integers(1, 30), read=st.sampled_from([read_ndjson, read_text, CsvFormat()]))
def test_where_a_file_is_cut_changes_nothing(lines: list[bytes], step: int, read: Format) -> None:
    content = (b"ts,a\n" if isinstance(read, CsvFormat) else b"") + b"\n".join(lines)
    whole, pieces = read_all(read, content), read_all(read, content, step=step)
    assert pieces == whole
    assert whole[2] == b""


@given(content=st.binary(max_size=200), read=st.sampled_from([read_ndjson, read_text, CsvFormat()]))
def test_arbitrary_bytes_are_read_to_their_end_or_no_file(content: bytes, read: Format) -> None:
    try:
        _, _, rest = read_all(read, content, policy=BY_ARRIVAL)
    except UnusableFile:
        return
    assert rest == b""
