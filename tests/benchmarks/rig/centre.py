"""The hub of a benchmark: the installed command on SQLite or PostgreSQL, and eyes that cost it nothing.

How much is stored is read from its database over a connection of our own, because asking the hub itself would be
counted as its work. What counts in the end is what it hands out itself: `export`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from sqlalchemy import text

from farshore_hub.store.engine import open_engine, reading
from tests.acceptance.hub import Hub
from tests.benchmarks.rig.meters import Meter
from tests.benchmarks.rig.proof import Hashes, hashes_of
from tests.benchmarks.rig.sums import query_for, read_row
from tests.postgres import DURABLE, private_cluster

STORES: Final = ("sqlite", "postgresql")

_LOOK_S: Final = 0.004
_LAKE_LOOK_S: Final = 0.1
_DEADLINE_S: Final = 900.0
_LOG_S: Final = 0.5
"""An answer comes before the log says why."""

_STORED: Final = text("SELECT coalesce(sum(stored_count), 0) FROM accounts")
_IN_LAKE: Final = text(
    "SELECT coalesce(sum(b.count), 0) FROM batches b JOIN lake_commits c ON c.id = b.lake_commit "
    "WHERE c.state <> 'pending'"
)


class Centre:
    """A running hub with its meter."""

    def __init__(self, hub: Hub, database_url: str, database_pid: int | None) -> None:
        self.hub = hub
        self._database_pid = database_pid
        self._engine = open_engine(database_url)

    @property
    def meter(self) -> Meter:
        """The hub's, with its database server's where there is one."""
        return Meter(self.hub.daemon.pid, *([self._database_pid] if self._database_pid else []))

    def stored(self) -> int:
        """How many records the hub's accounts say are stored, whoever sent them."""
        return self._count(_STORED)

    def in_lake(self) -> int:
        """How many of them are in a Delta table."""
        return self._count(_IN_LAKE)

    def until_stored(self, records: int) -> float:
        """Return when so many are stored; the moment, as `time.monotonic()`."""
        return self._until(records, self.stored, _LOOK_S)

    def until_in_lake(self, records: int) -> float:
        """Return when so many are in the lake; the moment, as `time.monotonic()`."""
        return self._until(records, self.in_lake, _LAKE_LOOK_S)

    def hashes(self, stream: str, site: str) -> Hashes:
        """Every record that the hub hands out of a stream, as the hash of its content."""
        status, body = self.hub.request("GET", f"/v1/streams/{stream}/records?site={site}")
        self._check(status, body)
        return hashes_of(body.splitlines())

    def sums(self, stream: str) -> dict[str, int]:
        """Count and sums of all records of a stream, by a query to the hub."""
        body = json.dumps({"sql": query_for(stream)}).encode()
        status, said = self.hub.request("POST", "/v1/query", body, **{"content-type": "application/json"})
        self._check(status, said)
        return read_row(json.loads(said)["rows"][0])

    def close(self) -> None:
        """Stop looking."""
        self._engine.dispose()

    def _check(self, status: int, said: bytes) -> None:
        if status != HTTPStatus.OK:
            time.sleep(_LOG_S)
            raise RuntimeError(f"the hub answered {status}: {said[:2000]!r}\n{self.hub.daemon.said()}")

    def _count(self, query: object) -> int:
        with reading(self._engine) as connection:
            return int(connection.scalar(query))  # type: ignore[call-overload]

    def _until(self, records: int, look: Callable[[], int], pause_s: float) -> float:
        deadline = time.monotonic() + _DEADLINE_S
        while (found := look()) < records:
            self.hub.daemon.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {records} records after {_DEADLINE_S:.0f} s:\n{self.hub.daemon.said()}")
            time.sleep(pause_s)
        return time.monotonic()


@contextmanager
def running_centre(folder: Path, store: str) -> Iterator[Centre]:
    """A hub that has started, until the block ends."""
    with prepared_centre(folder, store) as centre:
        centre.hub.start()
        yield centre


@contextmanager
def prepared_centre(folder: Path, store: str) -> Iterator[Centre]:
    """A hub that was made and can be started, until the block ends."""
    with ExitStack() as stack:
        url, pid = "", None
        if store == "postgresql":
            cluster = stack.enter_context(private_cluster(DURABLE))
            url, pid = stack.enter_context(cluster.database()), cluster.pid
        hub = Hub(folder, database=url)
        stack.callback(hub.kill)
        seen = url or f"sqlite:///{hub.data / 'hub.db'}"
        centre = Centre(hub, seen, pid)
        stack.callback(centre.close)
        yield centre
