"""The lake's bounds and rhythms, in one place; the defaults are what a hub runs with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
_US_PER_S: Final = 1_000_000
DAY_US: Final = 86_400 * _US_PER_S


@dataclass(frozen=True, slots=True)
class LakeSettings:
    """What the lake writer goes by.

    Attributes:
        linger_us: a stream's records wait at least so long for others.
        within_us: and at most so long.
        worth_record_s: in between they are written when they have waited so many record-seconds: as many as there are,
            times the age of the oldest. A commit costs what writing a few thousand rows does, however few it has.
        max_commit_records: records in one lake commit.
        max_commit_bytes: sealed bytes in one lake commit; they inflate to ten or twenty times that.
        max_open_commits: commits, each of another stream, that one store transaction makes or finishes.
        retry_s: the pause after a failure, of the disk say.
        forget_every_s: the pause between two looks for payloads that are old enough to be given up.
        max_small_files: a table with more of them is compacted.
        vacuum_after_h: files that a compaction replaced are removed after that; longer than any query lasts.
        payloads_kept_us: sealed batches are kept for that long after they are in the lake.
        max_forget_commits: commits whose payloads are forgotten in one transaction.
    """

    linger_us: int = 2_000_000
    within_us: int = 300_000_000
    worth_record_s: int = 20_000
    max_commit_records: int = 200_000
    max_commit_bytes: int = 16 * MIB
    max_open_commits: int = 64
    retry_s: float = 5
    forget_every_s: float = 60
    max_small_files: int = 50
    vacuum_after_h: int = 48
    payloads_kept_us: int = 30 * DAY_US
    max_forget_commits: int = 100

    def is_due(self, records: int, age_us: int) -> bool:
        """Whether a stream's waiting records are written now; the oldest of them waits since `age_us`.

        A stream of r records a second is written about every sqrt(worth_record_s / r) seconds: the batch size that
        makes the cost of commits and the cost of waiting the least together (the economic order quantity).
        """
        # A negative age: the clock was set back since, and nobody knows how old the batch is.
        if records >= self.max_commit_records or not 0 <= age_us < self.within_us:
            return True
        return age_us >= self.linger_us and records * age_us >= self.worth_record_s * _US_PER_S


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """The bounds of one query or export.

    Attributes:
        timeout_s: a query that takes longer is stopped.
        process_bytes: what its process may take beside what it has at its start; the kernel sees to it.
        memory_bytes: of that, what DuckDB may take before it puts off to disk; its buffers and threads need the rest.
        threads: of DuckDB.
        portion_rows: an export sorts so many at one time, plain ones in memory. With fewer, tables in which the records
            of all sites lie mixed are read more often.
        max_result_bytes, max_result_rows: a larger result is refused.
        max_fresh_bytes: sealed bytes of batches that are not in the lake yet and would have to be opened for a query.
        max_fresh_row_bytes: what comes out of them.
    """

    timeout_s: float = 30
    process_bytes: int = 1024 * MIB
    memory_bytes: int = 384 * MIB
    threads: int = 2
    portion_rows: int = 2_000_000
    max_result_bytes: int = 128 * MIB
    max_result_rows: int = 1_000_000
    max_fresh_bytes: int = 64 * MIB
    max_fresh_row_bytes: int = 256 * MIB
