"""A stream's records as a file: NDJSON exactly as the site sent them, or CSV and Parquet with the columns of the view.

Ordered by site, incarnation and sequence, and made by a process of its own, in bounded memory and disk however many
they are; the caller takes piece after piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from farshore_hub.errors import Unknown
from farshore_hub.lake.contents import FreshRows
from farshore_hub.lake.formats import Format
from farshore_hub.lake.naming import SITE, TIME
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.spill import Folder, Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.views import quoted, raw_rows
from farshore_hub.lake.worker.messages import Question
from farshore_hub.lake.worker.workers import Asked, Workers


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records. Records without an event time are in no period.

    Attributes:
        stream: its name.
        site: of this site only.
        since, until: event times from `since` up to but without `until`.
    """

    stream: str
    site: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Export:
    """The file, piece by piece as it is iterated over. Closing it, from any thread, ends the work on it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._asked.pieces():
            yield bytes(piece)

    def close(self) -> None:
        """Whoever asked does not wait any more."""
        self._asked.close()


def export(
    wanted: Wanted,
    kind: Format,
    fresh: FreshRows,
    tables: LakeTables,
    workers: Workers,
    spill: Spill,
    settings: QuerySettings,
) -> Export:
    """The stream's records as a file. Nothing happens, and nothing is raised, before it is iterated over.

    Raises:
        Unknown: there is no such stream.
        Busy: so much is not in the lake yet that there is no room on the disk for it.
        OverLimit: there is too little memory, or room on the disk, for a few records.
    """

    def make(folder: Folder) -> Question:
        streams = fresh.streams()
        if wanted.stream not in streams:
            raise Unknown(f"there is no stream {wanted.stream!r}", remedy="farshore-hub completeness lists them")
        sql, params = _select(wanted, raw_rows(wanted.stream) if kind is Format.NDJSON else wanted.stream)
        return Question.of(
            sql, tables, settings, folder, streams=streams, named=[wanted.stream], params=params, form=kind
        )

    return Export(Asked(workers, spill, make, fresh))


def _select(wanted: Wanted, source: str) -> tuple[str, list[str]]:
    conditions = {
        f"{SITE} = ?": wanted.site,
        f"{TIME} >= CAST(? AS TIMESTAMPTZ)": _text(wanted.since),
        f"{TIME} < CAST(? AS TIMESTAMPTZ)": _text(wanted.until),
    }
    given = {sql: value for sql, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    return f"SELECT * FROM {quoted(source)} {where}", list(given.values())  # noqa: S608  of quoted names and constants


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
