"""What producers give: JSON in lines and arrays, CSV, text, compressed bodies, times, and checkpoints of files."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import zstandard

from farshore_agent.buffer.model import Admitted
from farshore_agent.collect import csvrows, formats, mark, texts
from farshore_agent.collect.form import NotAdmitted, check_record
from farshore_agent.net.inflate import inflate
from farshore_agent.net.messages import HttpError
from farshore_agent.settings.streams import StreamPolicies, StreamPolicy, StreamSettings
from farshore_protocol.event_time import BadTime, event_time_us
from farshore_protocol.limits import EARLIEST_EVENT_US, LATEST_EVENT_US, MAX_RECORD_BYTES
from tests.fuzz import real
from tests.fuzz.target import target

NOW_US = 1_795_422_600_000_000
TIMED = StreamPolicies(StreamSettings(time_field="date")).of("boiler")
UNTIMED = StreamPolicies(StreamSettings(time_field=None)).of("boiler")


def _checked(admitted: Admitted) -> None:
    """What is admitted can be stored and read back exactly; what is refused has a reason and a text that can be."""
    for record in admitted.records:
        assert check_record(record) == record
        assert msgspec.json.decode(msgspec.json.encode(record)) == record
        assert len(msgspec.json.encode(record)) <= 6 * MAX_RECORD_BYTES  # escapes take up to six bytes a character
    if admitted.records:
        assert EARLIEST_EVENT_US <= admitted.oldest_us <= admitted.newest_us < LATEST_EVENT_US
    for refused in admitted.refused:
        assert refused.why
        json.dumps([refused.field, refused.why, refused.raw], ensure_ascii=False).encode()


def _same(one: Admitted, other: Admitted) -> None:
    assert one.records == other.records
    assert [(each.line, each.field, each.why) for each in one.refused] == [
        (each.line, each.field, each.why) for each in other.refused
    ]


@target(seeds=lambda: [real.ndjson(), b'{"date":1,"a":NaN}\n{"date":"2026-11-23"}\r\n\n[1]\n'])
def ndjson(data: bytes) -> None:
    """Every line that is not blank is admitted or refused, and none has a say in another's fate."""
    for policy in (TIMED, UNTIMED):
        admitted = texts.admit_ndjson(data, policy, NOW_US)
        _checked(admitted)
        lines = [(number, line) for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)]
        single = [texts.admit_ndjson(line, policy, NOW_US, first_line=number) for number, line in lines if line.strip()]
        _same(admitted, _joined(single))


def _joined(parts: list[Admitted]) -> Admitted:
    records = [record for part in parts for record in part.records]
    return Admitted(records, 0, 0, 0, [refused for part in parts for refused in part.refused])


@target(seeds=lambda: [b"[" + real.ndjson(3).strip().replace(b"\n", b",") + b"]", b'[{"date":NaN},{"date":1e9}]'])
def json_array(data: bytes) -> None:
    """An array is taken apart, or refused with a reason; there is always one of the two."""
    admitted = texts.admit_json(data, TIMED, NOW_US)
    _checked(admitted)
    if data.removeprefix(b"\xef\xbb\xbf").strip() not in {b"", b"[]"} and not _is_empty_array(data):
        assert admitted.records or admitted.refused


def _is_empty_array(data: bytes) -> bool:
    try:
        return bool(json.loads(data.removeprefix(b"\xef\xbb\xbf")) == [])
    except (ValueError, RecursionError):
        return False


@target(seeds=lambda: [real.lines("air-quality.csv", 6), b'\xef\xbb\xbfdate,"a b"\r\n1,"x\r\ny"\n\n2,"\n3,4\n'])
def csv_file(data: bytes) -> None:
    """A CSV file, read in one go or as it grows, gives the same records and refusals, and is read to its end."""
    for policy in (TIMED, UNTIMED):
        _read_both_ways(csvrows.CsvFormat(), data, policy)


@target(seeds=lambda: [real.lines("access.log", 4), b"\xff\xfe\n\xef\xbb\xbfbom\r\n\n"])
def text_file(data: bytes) -> None:
    """Lines of text."""
    _read_both_ways(formats.read_text, data, UNTIMED)


@target(seeds=lambda: [real.ndjson()])
def ndjson_file(data: bytes) -> None:
    """A file of JSON lines."""
    _read_both_ways(formats.read_ndjson, data, TIMED)


def _read_both_ways(read: formats.Format, data: bytes, policy: StreamPolicy) -> None:
    try:
        whole = _read(read, data, policy, piece_bytes=len(data) + 1)
    except formats.UnusableFile:
        return
    _checked(whole)
    _same(whole, _read(read, data, policy, piece_bytes=len(data) // 3 + 1))


def _read(read: formats.Format, data: bytes, policy: StreamPolicy, *, piece_bytes: int) -> Admitted:
    """As `feed` reads a file that grows by pieces and then stays as it is."""
    parts: list[Admitted] = []
    state, rest, at = formats.State(), b"", 0
    while True:
        more = data[at : at + piece_bytes]
        at += len(more)
        at_end = len(more) < piece_bytes
        pending = rest + more
        while pending:
            piece = formats.read_piece(read, pending, state, policy, NOW_US, final=at_end)
            assert 0 <= piece.consumed <= len(pending)
            if not piece.consumed:
                break
            parts.append(piece.admitted)
            state, pending = piece.state, pending[piece.consumed :]
        rest = pending
        if at_end:
            assert not rest, "the end of a file is never read"
            return _joined(parts)


@target(seeds=lambda: [gzip.compress(real.ndjson(2), mtime=0) * 2])
def gzip_body(data: bytes) -> None:
    """Inflation stops at its bound, and agrees with Python's own."""
    inflated = _inflated(data, "gzip")
    if inflated is not None:
        assert inflated == gzip.GzipFile(fileobj=io.BytesIO(data)).read()


@target(seeds=lambda: [zstandard.compress(real.ndjson(2)), zstandard.compress(bytes(100_000))])
def zstd_body(data: bytes) -> None:
    """The same for zstd."""
    _inflated(data, "zstd")


def _inflated(data: bytes, encoding: str) -> bytes | None:
    bound = 100_000
    try:
        inflated = inflate(data, encoding, max_bytes=bound)
    except HttpError as error:
        assert error.status in {400, 413}
        return None
    assert len(inflated) <= bound
    return inflated


def _times() -> Iterator[bytes]:
    yield from (
        b"1795422600",
        b"1795422600123.5",
        b'"2026-11-23T08:30:00Z"',
        b'"2026-11-23 08:30+14:00"',
        b'"20261123"',
    )


@target(seeds=_times, max_bytes=200)
def event_time(data: bytes) -> None:
    """A time is within its bounds, or refused."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        at_us = event_time_us(value)
    except BadTime as error:
        assert str(error)
        return
    assert EARLIEST_EVENT_US <= at_us < LATEST_EVENT_US


@target(seeds=lambda: [b'{"a":{"b":[1,"x"]}}', b'{"a":' + b"9" * 400 + b"}"])
def record(data: bytes) -> None:
    """A record that Python code made: checked, or refused."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        checked = check_record(value)
    except NotAdmitted as error:
        json.dumps([error.field, error.why], ensure_ascii=False).encode()
        return
    assert check_record(checked) == checked == value


@target(seeds=lambda: [mark.Mark(10, 1, ("a",), False, 7, b"h" * 16, 10, b"t" * 16, 10).pack()])
def file_mark(data: bytes) -> None:
    """A checkpoint that is damaged is the start of the file; it never stops the input."""
    read = mark.unpack(data)
    file = io.BytesIO(b"content of a file")
    if read.fits(file):
        mark.Progress(file, read, 1).advance(b"x", line=1, header=None, skipping=False)
