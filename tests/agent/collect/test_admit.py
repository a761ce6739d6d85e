"""Admission: what is stored, what is refused, with which line, field and reason; and that nothing gets lost between."""

from __future__ import annotations

import enum
import hashlib
import json
import math
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.buffer.model import Admitted
from farshore_agent.buffer.shaped import mappings
from farshore_agent.collect.admit import MAX_CALL_RECORDS, TooMuch, admit
from farshore_agent.collect.form import check_record
from farshore_agent.collect.texts import admit_json, admit_ndjson
from farshore_agent.collect.why import MAX_RAW_CHARS, MAX_RAW_CHARS_PER_CALL, RawTexts
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import MAX_INTEGER_BITS, MAX_RECORD_BYTES, MAX_RECORD_DEPTH, MAX_RECORD_FIELDS

NOW_US = 1_795_422_600_000_000
TS = 1_795_422_600
BY_TS = StreamPolicy("boiler", time_field="ts")
BY_ARRIVAL = StreamPolicy("boiler", time_field=None)


def ndjson(*lines: str | bytes) -> Admitted:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    admitted = admit_ndjson(b"\n".join(raw), BY_TS, NOW_US)
    return replace(admitted, records=mappings(admitted.records))


def refusals(admitted: Admitted) -> list[tuple[int, str | None, str]]:
    return [(one.line, one.field, one.why) for one in admitted.refused]


GOOD = f'{{"ts": {TS}, "v": 1}}'


def nested(depth: int) -> str:
    """A record in which so many lists and objects stand inside one another."""
    return f'{{"ts": {TS}, "v": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


BAD_LINES = [
    pytest.param("[1]", None, "a record is an object, not a list", id="array"),
    pytest.param("7", None, "a record is an object, not a number", id="number"),
    pytest.param("null", None, "a record is an object, not null", id="null"),
    pytest.param("{}", None, "the record is empty", id="empty record"),
    pytest.param("{'ts': 1}", None, "not JSON: Expecting property name", id="single quotes"),
    pytest.param(GOOD + GOOD, None, "not JSON: Extra data at character", id="two in a line"),
    pytest.param(f'{{"ts": {TS}, "v":', None, "not JSON: Expecting value at character", id="cut off"),
    pytest.param(f'{{"ts": {TS}, "v": "a', None, "not JSON: Unterminated string", id="cut off in a text"),
    pytest.param(f'{{"ts": {TS}, "v": NaN}}', "v", "nan is not a finite number", id="NaN"),
    pytest.param(f'{{"ts": {TS}, "v": -Infinity}}', "v", "-inf is not a finite number", id="infinity"),
    pytest.param(f'{{"ts": {TS}, "v": 1e999}}', "v", "inf is not a finite number", id="1e999"),
    pytest.param(
        f'{{"ts": {TS}, "v": {2**MAX_INTEGER_BITS}}}', "v", "an integer of more than 1024 bits", id="1025 bits"
    ),
    pytest.param(f'{{"ts": {TS}, "v": [{-(2**MAX_INTEGER_BITS)}]}}', "v[0]", "an integer of more", id="nested integer"),
    pytest.param(f'{{"ts": {TS}, "v": {"9" * 5000}}}', "v", "an integer of more than 1024 bits", id="5000 digits"),
    pytest.param(nested(MAX_RECORD_DEPTH + 1), "v" + "[0]" * 7, "nested deeper than 32", id="33 deep"),
    pytest.param(nested(500), "v" + "[0]" * 7, "nested deeper than 32 levels", id="500 deep"),
    pytest.param(nested(10_000), None, "nested deeper than 32 levels", id="10,000 deep"),
    pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, None, "nested deeper than 32 levels", id="10,000 objects deep"),
    pytest.param("[" * 10_000, None, "nested deeper than 32 levels", id="10,000 open"),
    pytest.param(f'{{"ts": {TS}, "v": "{"a" * MAX_RECORD_BYTES}"}}', None, "the record has", id="1 MiB"),
    pytest.param(f'{{"ts": {TS}, "v": "\\ud800"}}', "v", "half a surrogate pair", id="lone surrogate"),
    pytest.param(f'{{"ts": {TS}, "\\udfff": 1}}', None, "half a surrogate pair", id="lone surrogate in a key"),
    pytest.param(b'{"ts": 1, "v": "\xff"}', None, "not UTF-8 at byte 17", id="invalid UTF-8"),
    pytest.param(b'{"ts": 1, "v": "\xed\xa0\x80"}', None, "not UTF-8 at byte 17", id="encoded surrogate"),
    pytest.param('{"v": 1}', "ts", "has no event time", id="no time"),
    pytest.param('{"ts": null}', "ts", "has no event time", id="null time"),
    pytest.param('{"ts": true}', "ts", "a time is a number", id="boolean time"),
    pytest.param('{"ts": "yesterday"}', "ts", "is not an ISO 8601 time", id="text that is no time"),
    pytest.param('{"ts": "0001-01-01T00:00:00Z"}', "ts", "outside 1970…2200", id="year 1"),
    pytest.param('{"ts": "9999-12-31T23:59:59Z"}', "ts", "outside 1970…2200", id="year 9999"),
    pytest.param('{"ts": "9999-12-31T23:59:59-14:00"}', "ts", "outside 1970…2200", id="beyond year 9999"),
    pytest.param('{"ts": -1}', "ts", "outside 1970…2200", id="before 1970"),
    pytest.param('{"ts": 99999999999999999999}', "ts", "outside 1970…2200", id="20 digits"),
    pytest.param('{"ts": {"s": 1}}', "ts", "not an object", id="time is an object"),
    pytest.param("\x00", None, "not JSON: Expecting value at character 1", id="NUL"),
    pytest.param(
        "{" + ", ".join(f'"k{i}": 1' for i in range(MAX_RECORD_FIELDS + 1)) + "}", None, "4097 fields", id="fields"
    ),
]


@pytest.mark.parametrize(("line", "field", "why"), BAD_LINES)
def test_a_bad_line_is_named_with_its_field_and_reason_and_the_others_are_kept(
    line: str | bytes, field: str | None, why: str
) -> None:
    admitted = ndjson(GOOD, line, GOOD)
    assert len(admitted.records) == 2
    [refused] = admitted.refused
    assert refused.line == 2
    assert refused.field == field
    assert why in refused.why
    raw = line if isinstance(line, bytes) else line.encode()
    assert refused.raw == raw.decode(errors="backslashreplace")[:MAX_RAW_CHARS]


@pytest.mark.parametrize(("line", "field", "why"), BAD_LINES)
def test_a_json_array_names_the_place_of_what_is_bad_in_it(line: str | bytes, field: str | None, why: str) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    admitted = admit_json(b"[" + b", ".join([GOOD.encode(), raw, GOOD.encode()]) + b"]", BY_TS, NOW_US)
    if len(admitted.records) == 2:
        assert [(one.line, one.field) for one in admitted.refused] == [(2, field)]
        assert why in admitted.refused[0].why
    else:  # it cannot be taken apart
        assert admitted.records == []
        assert len(admitted.refused) == 1


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        nested(MAX_RECORD_DEPTH),
        f'{{"ts": {TS}, "v": {2**MAX_INTEGER_BITS - 1}, "w": {-(2**MAX_INTEGER_BITS - 1)}}}',
        f'{{"ts": {TS}, "v": "{"a" * (MAX_RECORD_BYTES - 100)}"}}',
        f'{{"ts": {TS}, "v": "\\ud83d\\ude00 😀 \\u0000"}}',
        f'{{"ts": {TS}, "": null, "a.b": [], "c": {{}}, "d": -0.0, "e": 1e-320, "f": false}}',
        '{"ts": "1970-01-01"}',
        '{"ts": "2199-12-31T23:59:59.999999Z"}',
        '{"ts": "2026-11-23T08:30:00+14:00"}',
        "{" + f'"ts": {TS}, ' + ", ".join(f'"k{i}": 1' for i in range(MAX_RECORD_FIELDS - 1)) + "}",
    ],
)
def test_what_is_just_within_the_bounds_is_stored_unchanged(line: str) -> None:
    for admitted in (ndjson(line), ndjson(line, line), ndjson(line, "x"), admit_json(line.encode(), BY_TS, NOW_US)):
        assert admitted.records
        assert [record == json.loads(line) for record in admitted.records] == [True] * len(admitted.records)


def test_a_truncated_last_line_is_refused_and_the_whole_ones_are_kept() -> None:
    admitted = ndjson(GOOD, GOOD, GOOD[:-5])
    assert len(admitted.records) == 2
    assert (
        refusals(admitted) == [(3, None, "not JSON: Expecting value at character 24")] or admitted.refused[0].line == 3
    )


def test_blank_lines_count_as_lines_and_line_ends_may_be_dos() -> None:
    admitted = ndjson("", GOOD + "\r", "  ", "x", "", GOOD, "")
    assert len(admitted.records) == 2
    assert [one.line for one in admitted.refused] == [4]


def test_a_record_must_not_span_lines() -> None:
    admitted = ndjson('{"ts":', f"{TS}}}", GOOD)
    assert len(admitted.records) == 1
    assert [one.line for one in admitted.refused] == [1, 2]


def test_two_records_in_one_line_are_refused_even_if_all_lines_are_like_that() -> None:
    assert [one.line for one in ndjson(GOOD + " " + GOOD, GOOD + " " + GOOD).refused] == [1, 2]


def test_a_byte_order_mark_is_no_part_of_the_first_record() -> None:
    assert len(ndjson(b"\xef\xbb\xbf" + GOOD.encode(), GOOD).records) == 2
    assert len(admit_json(b"\xef\xbb\xbf[" + GOOD.encode() + b"]", BY_TS, NOW_US).records) == 1


def test_of_a_key_that_stands_twice_the_last_value_counts() -> None:
    for admitted in (ndjson(f'{{"ts": {TS}, "v": 1, "v": 2}}'), ndjson(f'{{"ts": {TS}, "v": 1, "v": 2}}', "x")):
        assert mappings(admitted.records)[0]["v"] == 2


def test_an_empty_body_holds_nothing() -> None:
    for body in (b"", b"\n\n", b"  "):
        assert admit_ndjson(body, BY_TS, NOW_US) == Admitted([], 0, 0, 0, [])
    assert admit_json(b"[]", BY_TS, NOW_US) == Admitted([], 0, 0, 0, [])


def test_in_an_array_a_number_that_is_none_costs_only_its_record() -> None:
    admitted = admit_json(f'[{GOOD}, {{"ts": {TS}, "v": NaN}}, {GOOD}]'.encode(), BY_TS, NOW_US)
    assert len(admitted.records) == 2
    assert refusals(admitted) == [(2, "v", "nan is not a finite number: leave the field out, or use null")]


def test_a_broken_array_is_refused_as_a_whole_with_its_text() -> None:
    admitted = admit_json(f"[{GOOD}, {GOOD}".encode(), BY_TS, NOW_US)
    assert admitted.records == []
    assert admitted.refused[0].raw == f"[{GOOD}, {GOOD}"


def test_the_bounds_of_the_event_times_are_found_in_every_notation() -> None:
    for times in ([TS, TS + 1, TS + 2], [TS * 1000, TS * 1000 + 2000], [TS + 0.0, TS + 2.0]):
        admitted = ndjson(*(json.dumps({"ts": time}) for time in times))
        assert (admitted.oldest_us, admitted.newest_us) == (TS * 1_000_000, (TS + 2) * 1_000_000)
    admitted = ndjson('{"ts": "2026-11-23T08:30:00Z"}', '{"ts": "2026-11-23T10:29:59+02:00"}')
    assert (admitted.oldest_us, admitted.newest_us) == (NOW_US - 1_000_000, NOW_US)


def test_seconds_and_milliseconds_in_one_body_are_told_apart() -> None:
    admitted = ndjson(json.dumps({"ts": TS * 1000}), json.dumps({"ts": TS + 60}), json.dumps({"ts": "2026-11-23"}))
    assert (admitted.oldest_us, admitted.newest_us) == (1_795_392_000_000_000, (TS + 60) * 1_000_000)


def test_where_arrival_is_the_time_no_time_is_needed() -> None:
    admitted = admit_ndjson(b'{"v": 1}', BY_ARRIVAL, NOW_US)
    assert (admitted.oldest_us, admitted.newest_us, admitted.refused) == (NOW_US, NOW_US, [])


def test_too_many_records_or_lists_are_refused_before_they_are_made() -> None:
    with pytest.raises(TooMuch, match="at most 100000"):
        admit_ndjson(b"\n" * (MAX_CALL_RECORDS + 1), BY_TS, NOW_US)
    with pytest.raises(TooMuch, match="lists and objects"):
        admit_ndjson(b"[" * (MAX_RECORD_BYTES + 1), BY_TS, NOW_US)
    with pytest.raises(TooMuch, match="at most 100000"):
        admit([{"ts": TS}] * (MAX_CALL_RECORDS + 1), BY_TS, NOW_US)
    with pytest.raises(TooMuch, match="at most 100000"):
        admit_json(b"[" + b"1," * MAX_CALL_RECORDS + b"1]", BY_TS, NOW_US)


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Real(float):
    __slots__ = ()


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (datetime(2026, 11, 23, 8, 30, tzinfo=UTC), "2026-11-23T08:30:00Z"),
        (datetime(2026, 11, 23, 9, 30, 0, 5, tzinfo=timezone(timedelta(hours=1))), "2026-11-23T08:30:00.000005Z"),
        (datetime(2026, 11, 23, 8, 30), "2026-11-23T08:30:00Z"),  # noqa: DTZ001 - a naive time is what this is about
        (b"\x00\xff", b"\x00\xff"),
        (Level.HIGH, 3),
        (Text("a"), "a"),
        (Real(0.5), 0.5),
        ({"deep": [datetime(2026, 11, 23, tzinfo=UTC)]}, {"deep": ["2026-11-23T00:00:00Z"]}),
        (True, True),
    ],
)
def test_python_values_become_what_can_be_stored(given: object, stored: object) -> None:
    [record] = mappings(admit([{"ts": TS, "v": given}], BY_TS, NOW_US).records)
    assert record["v"] == stored
    assert type(record["v"]) is type(stored)


@pytest.mark.parametrize(
    ("record", "field", "why"),
    [
        ({"ts": TS, "v": math.nan}, "v", "nan is not a finite number"),
        ({"ts": TS, "v": [0, math.inf]}, "v[1]", "inf is not a finite number"),
        ({"ts": math.nan}, "ts", "not a finite number"),
        ({"ts": TS, "v": 1 << MAX_INTEGER_BITS}, "v", "more than 1024 bits"),
        ({"ts": TS, "v": "\ud800"}, "v", "half a surrogate pair"),
        ({"ts": TS, "\ud800": 1}, None, "half a surrogate pair"),
        ({"ts": TS, 5: 1}, None, "a field's name is text, not a number"),
        ({"ts": TS, "m": {(1, 2): 1}}, "m", "a field's name is text, not a tuple"),
        ({"ts": TS, "v": (1, 2)}, "v", "a tuple cannot be stored"),
        ({"ts": TS, "v": {1, 2}}, "v", "a set cannot be stored"),
        ({"ts": TS, "v": date(2026, 11, 23)}, "v", "a date cannot be stored"),
        ({"ts": TS, "v": object()}, "v", "a object cannot be stored"),
        ({"ts": TS, "v": "a" * MAX_RECORD_BYTES}, None, "the record has"),
        ({"ts": b"x"}, "ts", "a time is a number"),
        ({"ts": datetime.max.replace(tzinfo=UTC)}, "ts", "outside 1970…2200"),
        ({}, None, "the record is empty"),
        ("text", None, "a record is an object, not text"),
        (None, None, "a record is an object, not null"),
        ({str(key): 1 for key in range(MAX_RECORD_FIELDS + 1)}, None, "4097 fields"),
    ],
)
def test_python_values_that_cannot_be_stored_are_refused(record: object, field: str | None, why: str) -> None:
    good = {"ts": TS}
    for admitted, line in (
        (admit([record], BY_TS, NOW_US), 1),
        (admit([good, record, good], BY_TS, NOW_US), 2),
    ):
        [refused] = admitted.refused
        assert (refused.line, refused.field) == (line, field)
        assert why in refused.why
        refused.raw.encode()


def test_a_python_record_that_contains_itself_is_refused() -> None:
    record: dict[str, Any] = {"ts": TS}
    record["self"] = record
    [refused] = admit([record], BY_TS, NOW_US).refused
    assert "nested deeper than 32" in refused.why


def test_a_python_list_10_000_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    [refused] = admit([{"ts": TS, "v": deep}], BY_TS, NOW_US).refused
    assert "nested deeper than 32" in refused.why
    assert sys.getrecursionlimit() < 10_000


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**1100), 2**1100), st.floats(), st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
)
times = st.one_of(st.integers(), st.floats(), st.datetimes().map(str), st.just(TS), st.none(), values)
records = st.one_of(values, st.dictionaries(st.sampled_from(["ts", "a", "b", "😀"]), times, max_size=4))


def _same(one: object, other: object) -> bool:
    return repr(one) == repr(other)


@given(given=st.lists(records, max_size=8))
def test_every_python_value_is_either_admitted_unchanged_or_refused_in_its_place(given: list[object]) -> None:
    admitted = admit(given, BY_TS, NOW_US)
    refused = {one.line for one in admitted.refused}
    assert len(admitted.records) + len(refused) == len(given)
    kept = [value for line, value in enumerate(given, 1) if line not in refused]
    assert all(map(_same, admitted.records, kept))


@given(given=st.lists(records, max_size=8))
def test_every_line_is_either_admitted_unchanged_or_refused_in_its_place(given: list[object]) -> None:
    lines = [json.dumps(value) for value in given]
    admitted = ndjson(*lines)
    refused = {one.line: one for one in admitted.refused}
    assert len(admitted.records) + len(refused) == len(given)
    kept = [json.loads(line) for number, line in enumerate(lines, 1) if number not in refused]
    assert all(map(_same, admitted.records, kept))
    assert [one.raw for one in admitted.refused] == [lines[number - 1] for number in refused]


@given(given=st.lists(records, max_size=6))
def test_looking_in_bulk_decides_like_looking_one_by_one(given: list[object]) -> None:
    """A line that is no JSON forces the slow way; the good lines must come out the same on both."""
    lines = [json.dumps(value) for value in given]
    fast, slow = ndjson(*lines), ndjson(*lines, "!")
    assert _same(fast.records, slow.records)
    assert refusals(fast) == refusals(slow)[:-1]
    assert (fast.oldest_us, fast.newest_us) == (slow.oldest_us, slow.newest_us)


@given(given=st.lists(records, max_size=6))
def test_an_array_is_judged_like_lines(given: list[object]) -> None:
    lines, array = ndjson(*map(json.dumps, given)), admit_json(json.dumps(given).encode(), BY_TS, NOW_US)
    assert _same(lines.records, array.records)
    assert refusals(lines) == refusals(array)


@given(given=st.lists(records, max_size=8))
def test_python_records_are_judged_together_like_one_by_one(given: list[object]) -> None:
    together, alone = admit(given, BY_TS, NOW_US), [admit([record], BY_TS, NOW_US) for record in given]
    assert _same(together.records, [record for each in alone for record in each.records])
    assert [(one.field, one.why, one.raw) for one in together.refused] == [
        (one.field, one.why, one.raw) for each in alone for one in each.refused
    ]
    kept = [each for each in alone if each.records]
    assert together.oldest_us == min((each.oldest_us for each in kept), default=0)
    assert together.newest_us == max((each.newest_us for each in kept), default=0)


@given(body=st.binary(max_size=300))
def test_arbitrary_bytes_are_admitted_or_refused_and_nothing_else_happens(body: bytes) -> None:
    for admitted in (admit_ndjson(body, BY_TS, NOW_US), admit_json(body, BY_TS, NOW_US)):
        for refused in admitted.refused:
            refused.raw.encode()
            assert refused.why


@given(record=records)
def test_what_was_checked_once_passes_again(record: object) -> None:
    for kept in admit([record], BY_ARRIVAL, NOW_US).records:
        assert _same(check_record(kept), kept)


def test_of_very_much_that_is_refused_at_once_the_rest_is_named_by_its_digest() -> None:
    lines = [b"\xff" * 16_000] * 300
    refused = admit_ndjson(b"\n".join(lines), BY_ARRIVAL, NOW_US).refused
    assert len(refused) == 300
    kept = [one for one in refused if one.raw.startswith("\\xff")]
    named = [one for one in refused if hashlib.sha256(lines[0]).hexdigest() in one.raw]
    assert len(kept) + len(named) == 300
    assert sum(len(one.raw) for one in refused) <= MAX_RAW_CHARS_PER_CALL + 300 * 160
    assert "16000 bytes" in named[0].raw
    assert {one.why for one in refused} == {"not UTF-8 at byte 1"}


def test_what_is_short_is_kept_however_much_was_refused_before() -> None:
    texts = RawTexts(max_chars=10)
    assert texts.keep(b"x" * 100) == "x" * 100
    assert texts.keep(b"y" * 100) == "y" * 100
    assert texts.keep(b"z" * 200).startswith("(not kept")
