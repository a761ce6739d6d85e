"""File formats: a piece of a file that may end anywhere becomes admitted records, and the place where the next begins.

Pure. Only whole records are taken, unless the file is known to be complete (`final`). A line over the bound of a record
is refused and skipped, however long it is, without ever being held whole.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, Protocol

from farshore_agent.buffer.model import Admitted, Refused
from farshore_agent.collect.admit import Read, admit, one_by_one
from farshore_agent.collect.form import NotAdmitted
from farshore_agent.collect.texts import admit_ndjson
from farshore_agent.collect.why import raw_text
from farshore_agent.settings.streams import StreamPolicy
from farshore_protocol.limits import MAX_RECORD_BYTES

NOTHING: Final = Admitted([], 0, 0, 0, [])


class UnusableFile(Exception):
    """A file as a whole cannot be read as what it is said to be. The text says why; the file stays as it is."""


class FileFormat(enum.StrEnum):
    """What a file holds; `auto` tells it by the name's ending."""

    AUTO = "auto"
    CSV = "csv"
    NDJSON = "ndjson"
    TEXT = "text"


_ENDINGS: Final = {
    ".csv": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json": FileFormat.NDJSON,
    ".txt": FileFormat.TEXT,
    ".log": FileFormat.TEXT,
}


def format_of(name: str, wanted: FileFormat) -> FileFormat:
    """The format of a file of that name.

    Raises:
        UnusableFile: the ending does not tell.
    """
    if wanted is not FileFormat.AUTO:
        return wanted
    ending = PurePath(name.removesuffix(".gz")).suffix.lower()
    if ending not in _ENDINGS:
        raise UnusableFile(f"the ending {ending!r} tells no format: set format, or use one of {', '.join(_ENDINGS)}")
    return _ENDINGS[ending]


@dataclass(frozen=True, slots=True)
class State:
    """What the next piece needs to know of those before: lines so far, the CSV header, whether a line is skipped."""

    line: int = 0
    header: tuple[str, ...] | None = None
    skipping: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What was made of some bytes; the `consumed` first of them are dealt with."""

    admitted: Admitted
    consumed: int
    state: State


class Format(Protocol):
    """Reads whole lines (`final`: the last may lack its end)."""

    def __call__(self, data: bytes, state: State, policy: StreamPolicy, now_us: int, *, final: bool) -> Piece:
        """Admit the records of `data`.

        Raises:
            UnusableFile: this is no file of the format.
        """
        ...


def read_piece(read: Format, data: bytes, state: State, policy: StreamPolicy, now_us: int, *, final: bool) -> Piece:
    """Admit what is whole in `data`."""
    if state.skipping:
        return _skip(data, state)
    end = len(data) if final else data.rfind(b"\n") + 1
    if end:
        return read(data[:end], state, policy, now_us, final=final)
    if len(data) <= MAX_RECORD_BYTES:
        return Piece(NOTHING, 0, state)
    refused = Refused(state.line + 1, None, f"the line is longer than {MAX_RECORD_BYTES} bytes", raw_text(data))
    return Piece(replace(NOTHING, refused=[refused]), len(data), replace(state, skipping=True))


def read_ndjson(
    data: bytes,
    state: State,
    policy: StreamPolicy,
    now_us: int,
    *,
    final: bool,  # noqa: ARG001 - a line is a record, however the file ends
) -> Piece:
    """Lines of JSON objects."""
    admitted = admit_ndjson(data, policy, now_us, first_line=state.line + 1)
    return Piece(admitted, len(data), replace(state, line=state.line + count_lines(data)))


def read_text(
    data: bytes,
    state: State,
    policy: StreamPolicy,
    now_us: int,
    *,
    final: bool,  # noqa: ARG001 - a line is a record, however the file ends
) -> Piece:
    """Lines of text: each becomes the field `message`; the event's time is its arrival."""
    arrival = replace(policy, time_field=None)
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    numbered = [(number, line) for number, line in enumerate(lines, state.line + 1) if line.strip()]
    try:
        records: list[object] = [{"message": line.decode("utf-8-sig")} for _, line in numbered]
    except UnicodeDecodeError:
        admitted = one_by_one(((number, line, _message_reader(line)) for number, line in numbered), arrival, now_us)
    else:
        admitted = with_lines(admit(records, arrival, now_us, first_line=0), numbered)
    return Piece(admitted, len(data), replace(state, line=state.line + count_lines(data)))


def with_lines(admitted: Admitted, numbered: list[tuple[int, bytes]]) -> Admitted:
    """Refusals that were numbered from 0 get the line and the raw text that they came from."""
    if not admitted.refused:
        return admitted
    refused = [
        Refused(numbered[one.line][0], one.field, one.why, raw_text(numbered[one.line][1])) for one in admitted.refused
    ]
    return replace(admitted, refused=refused)


def count_lines(data: bytes) -> int:
    """Lines of `data`, the last of which may lack its end."""
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def _message_reader(line: bytes) -> Read:
    def read() -> tuple[dict[str, object], int]:
        try:
            return {"message": line.decode("utf-8-sig")}, len(line)
        except UnicodeDecodeError as error:
            raise NotAdmitted(f"not UTF-8 at byte {error.start + 1}") from None

    return read


def _skip(data: bytes, state: State) -> Piece:
    end = data.find(b"\n") + 1
    if not end:
        return Piece(NOTHING, len(data), state)
    return Piece(NOTHING, end, replace(state, line=state.line + 1, skipping=False))
