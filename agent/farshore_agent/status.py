"""What an agent says about itself: one JSON document, the same from the running process and from its state folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from farshore_agent.buffer import BufferStatus, StreamStatus
from farshore_agent.forward.report import LinkReport
from farshore_agent.identity.identity import Identity
from farshore_protocol import __version__
from farshore_protocol.limits import EARLIEST_EVENT_US, LATEST_EVENT_US, MIB
from farshore_protocol.names import base_of

FILE: Final = "status.json"
MAX_BYTES: Final = 4 * MIB
"""Of the file. A thousand streams take half a megabyte."""

_Us = Annotated[int, msgspec.Meta(ge=EARLIEST_EVENT_US, lt=LATEST_EVENT_US)]


class _ReadableLink(msgspec.Struct):
    """What commands show of the link."""

    up: bool
    state: str
    address: str
    last_error: str
    last_remedy: str
    last_answer_us: _Us | None
    clock_offset_us: int | None
    clock_offset_error_us: int | None
    refusals: dict[str, int]


class _ReadableSettings(msgspec.Struct):
    """What commands show of the hub's newest settings."""

    outcome: str
    problems: list[str]


class _ReadableOrders(msgspec.Struct):
    """What commands show of the hub's orders."""

    enabled: bool
    settings: _ReadableSettings | None
    running: int
    revision: int
    probing: bool
    paused: list[str]
    last_refusal: str


class _Readable(msgspec.Struct):
    """What commands show of a file that an agent has left; other things in it do not matter."""

    at_us: _Us
    link: _ReadableLink
    orders: _ReadableOrders | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What the document is made of."""

    at_us: int
    pid: int
    doors: list[str]
    identity: Identity | None
    problem: str
    link: LinkReport
    buffer: BufferStatus
    orders: Mapping[str, Any]
    tables: Sequence[dict[str, Any]] = ()


def document(now: Present) -> dict[str, Any]:
    """The status as JSON values; times in microseconds since 1970, ids in hexadecimal."""
    return {
        "running": True,
        "at_us": now.at_us,
        "pid": now.pid,
        "version": __version__,
        "doors": now.doors,
        "identity": identity_document(now.identity, now.problem),
        "link": link_document(now.link),
        "buffer": buffer_document(now.buffer),
        "tables": list(now.tables),
        "orders": dict(now.orders),
    }


def identity_document(identity: Identity | None, problem: str = "") -> dict[str, Any]:
    """Who the site is; nothing of it is secret."""
    if identity is None:
        return {"enrolled": False, "problem": problem}
    return {
        "enrolled": True,
        "site": identity.site,
        "hub": identity.membership.hub.hex(),
        "addresses": list(identity.membership.addresses),
        "certificate_ends_us": identity.not_after_us,
        "problem": problem,
    }


def link_document(link: LinkReport) -> dict[str, Any]:
    """How the link stands."""
    told = msgspec.to_builtins(link)
    offset = told.pop("offset")
    return {
        **told,
        "clock_offset_us": offset["offset_us"] if offset else None,
        "clock_offset_error_us": offset["error_us"] if offset else None,
    }


def buffer_document(status: BufferStatus) -> dict[str, Any]:
    """What the buffer holds; streams of all incarnations are added up by name."""
    by_name: dict[str, list[StreamStatus]] = {}
    for stream in status.streams:
        by_name.setdefault(stream.name, []).append(stream)
    return {
        "incarnation": status.incarnation.hex(),
        "pending": sum(stream.pending for stream in status.streams),
        "oldest_us": _oldest(status.streams),
        "file_bytes": status.file_bytes,
        "used_bytes": status.used_bytes,
        "max_bytes": status.max_bytes,
        "room_bytes": status.room_bytes,
        "retained_batches": status.retained_batches,
        "retained_bytes": status.retained_bytes,
        "open_receipts": status.open_receipts,
        "repairs": status.repairs,
        "scrubbed_us": status.scrubbed_us,
        "set_aside": status.set_aside,
        "streams": [_stream(name, lives, status.incarnation) for name, lives in sorted(by_name.items())],
    }


def _stream(name: str, lives: list[StreamStatus], incarnation: bytes) -> dict[str, Any]:
    receipted: dict[str, int] = {}
    for life in lives:
        for reason, records in life.receipted.items():
            receipted[reason] = receipted.get(reason, 0) + records
    return {
        "name": name,
        "base": base_of(name),
        "priority": lives[-1].priority,
        "appended": sum(life.head for life in lives if life.incarnation == incarnation),
        "pending": sum(life.pending for life in lives),
        "oldest_us": _oldest(lives),
        "tail_records": sum(life.tail_records for life in lives),
        "waiting_batches": sum(life.waiting_batches for life in lives),
        "waiting_bytes": sum(life.waiting_bytes for life in lives),
        "held_back": sum(life.held_back for life in lives),
        "receipted": receipted,
    }


def _oldest(streams: list[StreamStatus]) -> int | None:
    return min((stream.oldest_us for stream in streams if stream.oldest_us is not None), default=None)


def write(state_dir: Path, status: dict[str, Any]) -> None:
    """Replace the status file. It need not survive a power cut, so it is not synced."""
    draft = state_dir / f"{FILE}.new"
    draft.write_bytes(msgspec.json.encode(status))
    draft.replace(state_dir / FILE)


def read(state_dir: Path) -> dict[str, Any] | None:
    """The last status that a running agent wrote, if there is one and it is whole."""
    try:
        with (state_dir / FILE).open("rb") as file:
            found: Any = json.loads(file.read(MAX_BYTES))
        msgspec.convert(found, _Readable)
    except (OSError, ValueError, RecursionError):  # MsgspecError is a ValueError
        return None
    return dict(found)
