"""The peer that loses nothing: PostgreSQL's logical replication, measured like `end_to_end`, on this machine.

A PostgreSQL at the site takes the same records by COPY, 1,000 a transaction over 8 connections, each answered after
fsync; one at the centre subscribes to them through the same proxy, which counts every byte and cuts the link. Both are
as Debian ships them, with fsync, and with 200 ms instead of 5 s before the subscriber tries again. There is no TLS: it
would cost a little more. What is measured is what `end_to_end` measures; *edge* is the server at the site, *hub* that
at the centre, CPU that of all their processes. The rows are typed columns, which is less than JSON.

Run it next to `end_to_end`: the ratios count, not the figures.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.link import Link
from tests.benchmarks.rig.meters import Meter
from tests.benchmarks.rig.peer import free_port, hand_over
from tests.benchmarks.rig.workload import FIELDS, Workload
from tests.postgres import DURABLE, USER, Cluster, private_cluster

PER_COPY: Final = 1_000
CONNECTIONS: Final = 8
_TYPES: Final = ("text", "text", "bigint", "bigint", *["double precision"] * 5, "integer", "text")
_TABLE: Final = ", ".join(f"{name} {type_}" for name, type_ in zip(FIELDS, _TYPES, strict=True))
_LOOK_S: Final = 0.004
_DEADLINE_S: Final = 900.0
_REST_S: Final = 2.0


class Server:
    """A PostgreSQL with TCP on loopback."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self.port = port
        self.meter = Meter(cluster.pid)
        self._where = f"host={cluster.directory} port={port} user={USER} dbname=postgres"
        self._eyes = self.connect()

    def connect(self) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        return psycopg.connect(self._where, autocommit=True)

    def do(self, *statements: str) -> None:
        """Run statements."""
        for statement in statements:
            self._eyes.execute(statement.encode())

    def count(self) -> int:
        """How many records it has."""
        return int(self._value(b"SELECT count(*) FROM pumps"))

    def written(self) -> str:
        """How far its log is written."""
        return str(self._value(b"SELECT pg_current_wal_lsn()"))

    def is_applied(self, lsn: str) -> bool:
        """Whether its subscriber has said that it has everything up to there, on disk. Counting rows would cost it."""
        query = b"SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= '%s'" % lsn.encode()
        return bool(self._value(query) == 1)

    def _value(self, query: bytes) -> Any:  # noqa: ANN401 - whatever it selects
        found = self._eyes.execute(query).fetchone()
        return found[0] if found else None


def measure(options: argparse.Namespace, _folder: Path) -> list[Figure]:
    """One run."""
    blocks, half = _blocks(options.records), options.records // 2
    first, second = blocks[: half // PER_COPY], blocks[half // PER_COPY :]
    with _running() as edge, _running() as centre, Link(edge.port) as link:
        edge.do(f"CREATE TABLE pumps ({_TABLE})", "CREATE PUBLICATION everything FOR TABLE pumps")
        centre.do(
            f"CREATE TABLE pumps ({_TABLE})",
            f"CREATE SUBSCRIPTION here CONNECTION 'host=127.0.0.1 port={link.port} user={USER} dbname=postgres' "
            "PUBLICATION everything WITH (copy_data = false)",
        )
        before, edge_before, centre_before = link.counts(), edge.meter.used(), centre.meter.used()
        began_s = time.monotonic()
        accepted_s = _accept(edge, first)
        up_s = _until_applied(edge) - began_s
        link.cut()
        cut_s = _accept(edge, second)
        time.sleep(_REST_S)
        link.restore()
        drained_s = _until_applied(edge) - link.counts().first_up_s
        wire = link.counts()
        used = edge.meter.used() - edge_before, centre.meter.used() - centre_before
        if centre.count() != options.records:
            raise RuntimeError(f"{centre.count()} of {options.records} records are at the centre")
    sent = wire.up_bytes + wire.down_bytes - before.up_bytes - before.down_bytes
    return [
        Figure("wire bytes per record", sent / options.records, "B"),
        Figure("accept, link up", half / accepted_s, "records/s"),
        Figure("accept, link cut", half / cut_s, "records/s"),
        Figure("end to end, link up", half / up_s, "records/s"),
        Figure("drain, loopback", half / drained_s, "records/s"),
        Figure("edge CPU per record, all phases", used[0].cpu_s / options.records * 1e6, "µs"),
        Figure("hub CPU per record", used[1].cpu_s / options.records * 1e6, "µs"),
        Figure("edge disk writes per record", used[0].written_bytes / options.records, "B"),
        Figure("hub disk writes per record", used[1].written_bytes / options.records, "B"),
    ]


@contextmanager
def _running() -> Iterator[Server]:
    port = free_port()
    settings = {
        **DURABLE,
        "listen_addresses": "127.0.0.1",
        "wal_level": "logical",
        "wal_retrieve_retry_interval": "200ms",
    }
    with private_cluster(settings, port=port) as cluster:
        yield Server(cluster, port)


def _blocks(records: int) -> list[bytes]:
    """The records as COPY's text, 1,000 a block."""
    rows = Workload().rows(records)
    lines = ("\t".join(map(str, row)).encode() + b"\n" for row in rows)
    return [b"".join(block) for block in iter(lambda: list(itertools.islice(lines, PER_COPY)), [])]


def _accept(server: Server, blocks: Sequence[bytes]) -> float:
    """Hand over the blocks, a transaction each; seconds."""
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        return hand_over(blocks, [partial(_copy, connection) for connection in connections])


def _copy(connection: psycopg.Connection[Any], block: bytes) -> None:
    with connection.cursor().copy("COPY pumps FROM STDIN") as copy:
        copy.write(block)


def _until_applied(edge: Server) -> float:
    """Return when the centre has all that the edge has; the moment."""
    lsn, deadline = edge.written(), time.monotonic() + _DEADLINE_S
    while not edge.is_applied(lsn):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_DEADLINE_S:.0f} s in vain for the centre")
        time.sleep(_LOOK_S)
    return time.monotonic()


BENCHMARK = Benchmark(
    name="peer_postgresql",
    about=__doc__,
    examples=["peer_postgresql --records 1_000_000"],
    measure=measure,
    has_store=False,
)

if __name__ == "__main__":
    BENCHMARK.main()
