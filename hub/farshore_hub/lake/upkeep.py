"""What keeps the lake small and quick: small files are joined, and old sealed batches given up."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Engine

from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.store import lake as store
from farshore_hub.store.engine import writing


class Upkeep:
    """A little at a time: one table per turn, one that got many files since it was looked at last."""

    def __init__(self, engine: Engine, tables: LakeTables, settings: LakeSettings) -> None:
        self._engine = engine
        self._tables = tables
        self._settings = settings
        self._new_files: Counter[str] = Counter()

    def note_written(self, stream: str) -> None:
        """A table got rows, in a file more."""
        self._new_files[stream] += 1

    def compact_one(self) -> int:
        """Look at one table and join its small files; returns how many files were replaced."""
        stream = next((each for each, files in self._new_files.items() if files > self._settings.max_small_files), None)
        if stream is None:
            return 0
        del self._new_files[stream]
        table = self._tables.open(stream)
        return 0 if table is None else table.compact(self._settings.max_small_files, self._settings.vacuum_after_h)

    def forget_payloads(self, now_us: int) -> int:
        """Give up some of the sealed batches that are in the lake for longer than they are kept."""
        return forget_payloads(
            self._engine, now_us - self._settings.payloads_kept_us, max_commits=self._settings.max_forget_commits
        )


def forget_payloads(engine: Engine, done_before_us: int, *, max_commits: int) -> int:
    """Give up the sealed batches of lake commits older than that; returns how many commits those were."""
    with writing(engine) as connection:
        return store.forget_payloads(connection, done_before_us=done_before_us, max_commits=max_commits)
