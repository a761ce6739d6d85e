"""The files of an object store for DuckDB, whose own reader of S3 is an extension that is not in its package.

DuckDB reads Parquet by itself, so that it passes over what a query does not need, within its own memory. It calls
`seek` and then `read`, from several threads with one file: each thread has a place of its own in it.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from fsspec import AbstractFileSystem

from farshore_hub.lake.files.lake_files import REMOTE, LakeFiles

_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""When a file was changed: never since it was written."""


class QueriedFiles(AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """The lake's files under `lake://`; read only."""

    protocol = REMOTE
    cachable = False

    def __init__(self, files: LakeFiles) -> None:
        super().__init__()
        self._files = files
        self._lock = threading.Lock()
        self._opened: dict[str, pa.NativeFile] = {}

    def glob(self, path: str, **_: object) -> list[str]:
        """The file of that name: no pattern is ever asked for."""
        return [self._strip_protocol(path)]

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Its size."""
        return {"name": path, "size": self._file(path).size(), "type": "file"}

    def modified(self, _path: str) -> datetime:
        """Files of a table are never changed."""
        return _EVER

    def open(self, path: str, mode: str = "rb", **_: object) -> _Reader:
        """A reader of it.

        Raises:
            PermissionError: it is not to be read.
        """
        if mode != "rb":
            raise PermissionError("queries read")
        return _Reader(self._file(path))

    def _file(self, path: str) -> pa.NativeFile:
        """Opened once: to open it is to ask for its size."""
        with self._lock:
            if path not in self._opened:
                self._opened[path] = self._files.open(self._strip_protocol(path))
            return self._opened[path]


class _Reader:
    """A file with a place for each thread."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._place = threading.local()

    def seek(self, at: int) -> int:
        self._place.at = at
        return at

    def tell(self) -> int:
        at: int = getattr(self._place, "at", 0)
        return at

    def read(self, count: int) -> bytes:
        at = self.tell()
        found: bytes = self._file.read_at(count, at)
        self._place.at = at + len(found)
        return found

    def close(self) -> None:
        """The file stays open for others."""
