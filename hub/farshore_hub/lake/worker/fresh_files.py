"""What is not in a stream's table yet, as Parquet files beside it, so that DuckDB reads all of a stream alike."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from farshore_hub.lake.contents import behind
from farshore_hub.lake.naming import ColumnMap
from farshore_hub.lake.rows import empty_table, joined
from farshore_hub.lake.settings import MIB

_GROUP_BYTES: Final = 8 * MIB
"""Rows are held until they are so many bytes."""


class FreshFiles:
    """Writes the rows of one stream as they come; a file for each time that columns are added.

    Args:
        folder: where the files go.
        name: how they begin.
        max_bytes: of all of them.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int) -> None:
        self._folder = folder
        self._name = name
        self._room_bytes = max_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._paths: list[Path] = []

    def add(self, rows: pa.Table) -> None:
        """Write these rows, now or later.

        Raises:
            Busy: there is no room for them.
        """
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes >= _GROUP_BYTES:
            self._write(joined(self._held))

    def finish(self, names: ColumnMap) -> list[Path]:
        """The files; the first has all columns, which are `names`."""
        self._write(joined([empty_table(names), *self._held]))
        return self._paths[::-1]

    def _write(self, rows: pa.Table) -> None:
        path = self._folder / f"{self._name}-{len(self._paths)}.parquet"
        pq.write_table(rows, path, compression="zstd")
        self._paths.append(path)
        self._held, self._held_bytes = [], 0
        self._room_bytes -= path.stat().st_size
        if self._room_bytes < 0:
            raise behind("so much is stored and not in the lake yet that there is no room on the disk to open it")

    @property
    def room_bytes(self) -> int:
        """What is left."""
        return self._room_bytes
