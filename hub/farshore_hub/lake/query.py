"""SQL over everything that is stored: the lake and what is not in it yet, one view per stream.

The question comes from outside: a process of its own answers it (`worker`), which can only read, only the views, within
bounds of time, memory and size of the answer.
"""

from __future__ import annotations

from typing import Final

from farshore_hub.errors import OverLimit
from farshore_hub.lake.contents import FreshRows
from farshore_hub.lake.settings import QuerySettings
from farshore_hub.lake.spill import Folder, Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.views import named_in
from farshore_hub.lake.worker.messages import Question
from farshore_hub.lake.worker.workers import Asked, Workers

MAX_SQL_CHARS: Final = 100_000


def query(
    sql: str, fresh: FreshRows, tables: LakeTables, workers: Workers, spill: Spill, settings: QuerySettings
) -> Asked:
    """A SELECT, to be answered whole or not at all.

    Raises:
        OverLimit: it is too long.
    """
    if len(sql) > MAX_SQL_CHARS:
        raise OverLimit(f"the query has {len(sql)} characters, the bound is {MAX_SQL_CHARS}")

    def make(folder: Folder) -> Question:
        streams = fresh.streams()
        return Question.of(sql, tables, settings, folder, streams=streams, named=named_in(sql, streams))

    return Asked(workers, spill, make, fresh, settings.timeout_s)
