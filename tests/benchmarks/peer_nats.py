"""The peer for messages: NATS JetStream with a leaf node, measured like `end_to_end`, on this machine.

A nats-server at the site takes the same records, each a message of its JSON, in atomic batches of 1,000 over 8
connections, each batch answered when it is stored (NATS 2.12 and newer). One at the centre, to which that of the site
is a leaf node through the proxy, sources them into a stream of its own. The link is compressed (s2_fast, the cheapest)
and tried again every second, which is as often as can be told. What is measured is what `end_to_end` measures; *edge*
is the server at the site, *hub* that at the centre.

`--sync` says when a server flushes: `always`, before it answers, as Farshore does; or a time, 2m as it is shipped, in
which a power cut takes what was acknowledged. There is no TLS: it would cost a little more. At the centre are
messages then, which no SQL can ask.

Run it next to `end_to_end`: the ratios count, not the figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from tests.benchmarks.rig.command import Benchmark, Figure
from tests.benchmarks.rig.link import Link
from tests.benchmarks.rig.meters import Meter
from tests.benchmarks.rig.peer import free_port, hand_over
from tests.benchmarks.rig.workload import Workload

PER_BATCH: Final = 1_000
"""The most that an atomic batch takes."""

CONNECTIONS: Final = 8
_SUBJECT: Final = "pumps"
_LOOK_S: Final = 0.02
_DEADLINE_S: Final = 900.0
_REST_S: Final = 2.0
_START_S: Final = 20.0
_HELLO: Final = {"verbose": False, "pedantic": False, "headers": True, "lang": "benchmark", "version": "1"}
_GIB: Final = 1024**3


class Connection:
    """One client: it says something, and reads what is answered to its inbox."""

    def __init__(self, port: int, inbox: str) -> None:
        self._inbox = inbox
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self._socket.sendall(f"CONNECT {json.dumps(_HELLO)}\r\nSUB {inbox} 1\r\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, subject: str, **question: object) -> dict[str, Any]:
        """Ask a server's interface.

        Raises:
            RuntimeError: it says no.
        """
        body = json.dumps(question).encode() if question else b""
        return self.say(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), self._inbox.encode(), len(body), body))

    def commit(self, batch: tuple[bytes, bytes]) -> None:
        """Hand over a batch of messages; they are stored when this returns.

        Raises:
            RuntimeError: they are not.
        """
        before, after = batch
        self.say(before + self._inbox.encode() + after)

    def say(self, what: bytes) -> dict[str, Any]:
        """Send, and wait for the one answer to it.

        Raises:
            RuntimeError: the server says no.
        """
        self._socket.sendall(what)
        while True:
            word, *rest = self._lines.readline().split()
            if word == b"PING":
                self._socket.sendall(b"PONG\r\n")
            elif word == b"MSG":
                answer: dict[str, Any] = json.loads(self._lines.read(int(rest[-1]) + 2))
                if "error" in answer:
                    raise RuntimeError(str(answer["error"]))
                return answer
            elif word == b"-ERR":
                raise RuntimeError(b" ".join(rest).decode())


class Server:
    """A nats-server with JetStream."""

    def __init__(self, folder: Path, name: str, sync: str, leafnodes: dict[str, Any]) -> None:
        self.port = free_port()
        settings = {
            "server_name": name,
            "listen": f"127.0.0.1:{self.port}",
            "log_file": str(folder / f"{name}.log"),
            "jetstream": {
                "store_dir": str(folder / name),
                "domain": name,
                "sync_interval": sync,
                "max_file_store": 64 * _GIB,
            },
            "leafnodes": leafnodes,
        }
        file = folder / f"{name}.conf"
        file.write_text(json.dumps(settings))
        program = Path(sys.executable).with_name("nats-server")
        self._child = subprocess.Popen([program, "--config", file], stderr=subprocess.DEVNULL)
        self.meter = Meter(self._child.pid)
        self._eyes = self._connected()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait()

    def create(self, **stream: object) -> None:
        """Make a stream."""
        self._eyes.ask(f"$JS.API.STREAM.CREATE.{_SUBJECT}", name=_SUBJECT, storage="file", **stream)

    def count(self) -> int:
        """How many messages it has."""
        return int(self._eyes.ask(f"$JS.API.STREAM.INFO.{_SUBJECT}")["state"]["messages"])

    def _connected(self) -> Connection:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                eyes = Connection(self.port, "eyes")
                eyes.ask("$JS.API.INFO")
            except (OSError, RuntimeError, ValueError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_S)
            else:
                return eyes


def measure(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """One run."""
    batches, half = _batches(options.records), options.records // 2
    first, second = batches[: half // PER_BATCH], batches[half // PER_BATCH :]
    with _running(folder, options.sync) as (edge, centre, link):
        before, edge_before, centre_before = link.counts(), edge.meter.used(), centre.meter.used()
        began_s = time.monotonic()
        accepted_s = _accept(edge, first)
        up_s = _until_stored(centre, half) - began_s
        link.cut()
        cut_s = _accept(edge, second)
        time.sleep(_REST_S)
        link.restore()
        restored_s = time.monotonic()
        stored_s = _until_stored(centre, options.records)
        wire = link.counts()
        used = edge.meter.used() - edge_before, centre.meter.used() - centre_before
        peak_bytes = edge.meter.peak_rss_bytes()
    sent = wire.up_bytes + wire.down_bytes - before.up_bytes - before.down_bytes
    return [
        Figure("wire bytes per record", sent / options.records, "B"),
        Figure("accept, link up", half / accepted_s, "records/s"),
        Figure("accept, link cut", half / cut_s, "records/s"),
        Figure("end to end, link up", half / up_s, "records/s"),
        Figure("drain, loopback", half / (stored_s - wire.first_up_s), "records/s"),
        Figure("restored to all stored", stored_s - restored_s, "s"),
        Figure("edge CPU per record, all phases", used[0].cpu_s / options.records * 1e6, "µs"),
        Figure("hub CPU per record", used[1].cpu_s / options.records * 1e6, "µs"),
        Figure("edge peak memory", peak_bytes / 1024**2, "MiB"),
        Figure("edge disk writes per record", used[0].written_bytes / options.records, "B"),
        Figure("hub disk writes per record", used[1].written_bytes / options.records, "B"),
    ]


@contextmanager
def _running(folder: Path, sync: str) -> Iterator[tuple[Server, Server, Link]]:
    port = free_port()
    # What the centre advertises would lead the site round the proxy when it connects again.
    listening = {"listen": f"127.0.0.1:{port}", "no_advertise": True, "compression": "s2_fast"}
    with Server(folder, "centre", sync, listening) as centre, Link(port) as link:
        remote = {"urls": [f"nats-leaf://127.0.0.1:{link.port}"], "compression": "s2_fast"}
        with Server(folder, "edge", sync, {"reconnect": "1s", "remotes": [remote]}) as edge:
            edge.create(subjects=[_SUBJECT], allow_atomic=True)
            centre.create(sources=[{"name": _SUBJECT, "external": {"api": "$JS.edge.API"}}])
            yield edge, centre, link


def _batches(records: int) -> list[tuple[bytes, bytes]]:
    """What is sent for each 1,000 records, before and after the inbox that the last of them names."""
    lines = iter(Workload().lines(records))
    blocks = iter(lambda: list(itertools.islice(lines, PER_BATCH)), [])
    return [_batch(f"b{number}", block) for number, block in enumerate(blocks)]


def _batch(name: str, block: Sequence[bytes]) -> tuple[bytes, bytes]:
    *others, last = [
        (b"NATS/1.0\r\nNats-Batch-Id: %s\r\nNats-Batch-Sequence: %d\r\n" % (name.encode(), number), line.rstrip(b"\n"))
        for number, line in enumerate(block, 1)
    ]
    messages = b"".join(b"HPUB %s %s" % (_SUBJECT.encode(), _message(*each)) for each in others)
    head, line = last
    committing = _message(head + b"Nats-Batch-Commit: 1\r\n", line)
    return messages + b"HPUB %s " % _SUBJECT.encode(), b" " + committing


def _message(head: bytes, line: bytes) -> bytes:
    return b"%d %d\r\n%s\r\n%s\r\n" % (len(head) + 2, len(head) + 2 + len(line), head, line)


def _accept(server: Server, batches: Sequence[tuple[bytes, bytes]]) -> float:
    """Hand over the batches; seconds."""
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server.port, f"inbox{each}")) for each in range(CONNECTIONS)]
        return hand_over(batches, [connection.commit for connection in connections])


def _until_stored(centre: Server, count: int) -> float:
    """Return when the centre has so many; the moment.

    Raises:
        RuntimeError: it has more.
        TimeoutError: it never has.
    """
    deadline = time.monotonic() + _DEADLINE_S
    while (there := centre.count()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_DEADLINE_S:.0f} s in vain for the centre, which has {there} of {count}")
        time.sleep(_LOOK_S)
    if there > count:
        raise RuntimeError(f"the centre has {there} of {count} records")
    return time.monotonic()


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sync", default="always", metavar="WHEN", help="always, or a time (default: %(default)s)")


BENCHMARK = Benchmark(
    name="peer_nats",
    about=__doc__,
    examples=["peer_nats --records 1_000_000", "peer_nats --sync 2m"],
    measure=measure,
    has_store=False,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
