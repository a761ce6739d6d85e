"""The files under the lake's location, by their paths in it: `boiler/part-00000-….parquet`. For any thread.

What always holds: a file is written whole or not at all in an object store, and nothing here changes one that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from farshore_hub.errors import NotReady
from farshore_hub.lake.files.location import SCHEME, Location

REMOTE: Final = "lake"
"""What names of files in an object store begin with in SQL."""


class LakeFiles:
    """The files of one lake."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._root = location.url.removeprefix(SCHEME)
        self._all = _object_store(location.options) if location.is_remote else fs.LocalFileSystem()

    def streams(self) -> list[str]:
        """The streams that have a table.

        Raises:
            NotReady: the bucket is not there.
            OSError: the disk, or the object store, does not say.
        """
        if self.location.is_remote:
            self._check_bucket()
        found = self._list("")
        folders = [
            each.base_name
            for each in found
            if each.type is fs.FileType.Directory and not each.base_name.startswith(".")
        ]
        logs = self._all.get_file_info([self._at(f"{name}/_delta_log") for name in folders])
        return sorted(name for name, log in zip(folders, logs, strict=True) if log.type is fs.FileType.Directory)

    def names(self, folder: str) -> list[str]:
        """The files in a folder, without those in further folders; none if it is not there.

        Raises:
            OSError: the disk, or the object store, does not say.
        """
        return sorted(each.base_name for each in self._list(folder) if each.type is fs.FileType.File)

    def exist(self, *paths: str) -> list[bool]:
        """Of each, whether it is there."""
        found = self._all.get_file_info([self._at(path) for path in paths])
        return [each.type is fs.FileType.File for each in found]

    def read(self, path: str) -> pa.Buffer:
        """A whole file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: of the disk, or of the object store.
        """
        with self._all.open_input_file(self._at(path)) as file:
            return file.read_buffer()

    def open(self, path: str) -> pa.NativeFile:
        """A file that several threads may read at once, with `read_at`; errors as of `read`."""
        return self._all.open_input_file(self._at(path))

    def write_table(self, rows: pa.Table, path: str) -> None:
        """Write rows as a Parquet file."""
        self._make_folder(path)
        pq.write_table(rows, self._at(path), filesystem=self._all)

    def move(self, path: str, to: str) -> None:
        """Move a file.

        Raises:
            FileNotFoundError: it is not there.
        """
        self._make_folder(to)
        self._all.move(self._at(path), self._at(to))

    def under(self, folder: str) -> fs.FileSystem:
        """The files of a folder as a file system for Arrow's datasets."""
        return fs.SubTreeFileSystem(self._at(folder), self._all)

    def _list(self, folder: str) -> list[fs.FileInfo]:
        found: list[fs.FileInfo] = self._all.get_file_info(fs.FileSelector(self._at(folder), allow_not_found=True))
        return found

    def _make_folder(self, path: str) -> None:
        if not self.location.is_remote:  # an object store has none
            self._all.create_dir(str(PurePosixPath(self._at(path)).parent))

    def _check_bucket(self) -> None:
        """A bucket that is not there must not look like a lake that has lost all its tables."""
        bucket = self._root.partition("/")[0]
        if self._all.get_file_info(bucket).type is fs.FileType.NotFound:
            raise NotReady(f"the object store has no bucket {bucket}", remedy="make it, or correct [lake] in hub.toml")

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def _object_store(options: Mapping[str, str]) -> fs.FileSystem:
    scheme, _, host = options.get("aws_endpoint_url", "").rpartition("://")
    given: dict[str, Any] = {
        "access_key": options.get("aws_access_key_id"),
        "secret_key": options.get("aws_secret_access_key"),
        "session_token": options.get("aws_session_token"),
        "region": options.get("aws_region"),
        "scheme": scheme or None,
        "endpoint_override": host or None,
    }
    return fs.S3FileSystem(**{name: value for name, value in given.items() if value})
