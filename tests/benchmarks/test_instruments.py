"""The instruments tell the truth: no benchmark is better than what it measures with."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.rig.command import Figure
from tests.benchmarks.rig.door import Refused, hand_over, requests_of
from tests.benchmarks.rig.link import Link
from tests.benchmarks.rig.meters import Meter
from tests.benchmarks.rig.proof import NotOnce, hashes_of, judge, prove
from tests.benchmarks.rig.workload import DEVICES, FIELDS, STATES, Workload

_TIMEOUT_S = 20.0

# ---------------------------------------------------------------- workload


def test_the_workload_is_the_one_that_other_tools_were_measured_with() -> None:
    lines = Workload().lines(50_000)
    records = [json.loads(line) for line in lines]
    assert {tuple(record) for record in records} == {FIELDS}
    assert sum(map(len, lines)) / len(lines) - 1 == pytest.approx(199, abs=2)
    assert [record["seq"] for record in records] == list(range(1, 50_001))
    of_one = records[7::DEVICES]
    assert {record["device"] for record in of_one} == {"pump-08"}
    late_ms = [record["ts"] - of_one[0]["ts"] - 1000 * n for n, record in enumerate(of_one)]
    assert max(late_ms) - min(late_ms) <= 400
    assert np.std(np.diff([record["temperature_c"] for record in of_one])) == pytest.approx(0.05, rel=0.1)
    assert np.std(np.diff([record["humidity_pct"] for record in of_one])) == pytest.approx(0.1, rel=0.2)
    assert np.std(np.diff([record["current_a"] for record in of_one])) == pytest.approx(0.01, rel=0.2)
    assert np.mean([record["vibration_mm_s"] for record in records]) == pytest.approx(1.2, rel=0.01)
    assert np.std([record["vibration_mm_s"] for record in records]) == pytest.approx(0.3, rel=0.02)
    assert np.std([record["supply_v"] for record in records]) == pytest.approx(0.05, rel=0.02)
    assert {record["quality"] for record in records} == {192, 64}
    assert sum(record["quality"] == 64 for record in records) < 500
    assert {record["state"] for record in records} == set(STATES)
    changes = sum(before["state"] != after["state"] for before, after in zip(records, records[DEVICES:], strict=False))
    assert changes / len(records) == pytest.approx(0.01, rel=0.2)


def test_the_workload_is_the_same_again_in_whatever_portions_it_is_taken() -> None:
    whole, parts = Workload().lines(120_000), Workload()
    assert whole == parts.lines(1) + parts.lines(60_001) + parts.lines(59_998)
    assert Workload().records(3) == [json.loads(line) for line in whole[:3]]


# ------------------------------------------------------------------- proof


def test_the_proof_holds_whatever_the_order_of_records_and_fields() -> None:
    sent = [b'{"a":1,"b":2.5}', b'{"a":2,"b":2.5}', b'{"a":2,"b":2.5}']
    stored = [b'{"b":2.5,"a":2}', b'{"a":1,"b":2.5}\n', b'{"a":2, "b":2.5}']
    assert prove(hashes_of(sent), hashes_of(stored)).stored == 3


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        ([1, 2], {"lost": 1}),
        ([], {"lost": 3}),
        ([1, 2, 3, 3], {"doubled": 1}),
        ([1, 2, 2], {"lost": 1, "doubled": 1}),
        ([1, 2, 3, 4], {"foreign": 1}),
        ([1, 2, 3, 9, 9], {"doubled": 1}),
        ([1, 2, 3, 3.5], {"foreign": 1}),
    ],
)
def test_the_proof_notices_what_is_lost_doubled_or_altered(stored: list[float], wrong: dict[str, int]) -> None:
    sent, maybe = _hashes([1, 2, 3]), _hashes([9])
    verdict = judge(sent, _hashes(stored), maybe=maybe)
    assert {"lost": verdict.lost, "doubled": verdict.doubled, "foreign": verdict.foreign} == {
        "lost": 0,
        "doubled": 0,
        "foreign": 0,
        **wrong,
    }
    with pytest.raises(NotOnce):
        prove(sent, _hashes(stored), maybe=maybe)


def test_what_was_not_answered_may_be_stored_once_or_not() -> None:
    sent, maybe = _hashes([1, 2, 3]), _hashes([9])
    prove(sent, _hashes([3, 2, 1]), maybe=maybe)
    prove(sent, _hashes([3, 9, 2, 1]), maybe=maybe)


def _hashes(numbers: list[float]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return hashes_of(json.dumps({"n": number}).encode() for number in numbers)


# ------------------------------------------------------------------- proxy


def test_the_link_carries_all_and_counts_every_byte_both_ways() -> None:
    with _echo(extra=b"!") as port, Link(port) as link:
        sent = os.urandom(3_000_000)
        for _ in range(2):
            assert _exchange(link.port, sent) == sent + b"!"
        counts = link.counts()
    assert (counts.up_bytes, counts.down_bytes, counts.connections) == (6_000_000, 6_000_002, 2)


def test_a_cut_link_breaks_what_is_connected_and_lets_nobody_through_until_it_is_restored() -> None:
    with _echo() as port, Link(port) as link, closing(_connected(link.port)) as connection:
        connection.sendall(b"before")
        assert connection.recv(100) == b"before"
        link.cut()
        assert _is_broken(connection)
        with closing(_connected(link.port)) as another:
            assert _is_broken(another)
        before = link.counts()
        link.restore()
        assert _exchange(link.port, b"after") == b"after"
        counts = link.counts()
    assert before.up_bytes == 6
    assert counts.up_bytes == 11
    assert before.first_up_s < counts.first_up_s <= time.monotonic()


def test_a_slow_link_takes_its_round_trips_and_its_rate_and_loses_nothing() -> None:
    sent = os.urandom(200_000)
    with _echo() as port, Link(port) as link:
        link.shape(round_trip_ms=40, mbit_s=16)
        began_s = time.monotonic()
        assert _exchange(link.port, sent) == sent
        took_s = time.monotonic() - began_s
    # The handshake's round trip, the way there and back, and once the time that the rate asks for.
    assert took_s >= 0.04 + 0.04 + 200_000 * 8 / 16e6


@contextmanager
def _echo(extra: bytes = b"") -> Iterator[int]:
    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with closing(connection):
            try:
                while data := connection.recv(65_536):
                    connection.sendall(data)
                connection.sendall(extra)
            except OSError:
                pass

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _exchange(port: int, data: bytes) -> bytes:
    with closing(_connected(port)) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        found = b""
        while more := connection.recv(65_536):
            found += more
        sending.join()
        return found


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)


def _is_broken(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


# ---------------------------------------------------------- load and meters


def test_every_request_is_handed_over_once_and_its_answer_waited_for(tmp_path: Path) -> None:
    requests = list(requests_of(Workload().lines(95), "pumps", per_request=10))
    with _door(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (door, bodies):
        accepted = hand_over(door, requests, connections=3)
    assert accepted.records == 95
    assert sorted(accepted.answered) == list(range(10))
    assert len(accepted.latencies_s) == 10
    assert sorted(bodies) == sorted(request.raw.partition(b"\r\n\r\n")[2] for request in requests)


def test_a_request_that_is_not_taken_ends_the_benchmark(tmp_path: Path) -> None:
    requests = list(requests_of(Workload().lines(5), "pumps", per_request=1))
    with _door(tmp_path, b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n") as (door, _), pytest.raises(Refused):
        hand_over(door, requests)


def test_a_door_that_goes_away_leaves_requests_unanswered(tmp_path: Path) -> None:
    requests = list(requests_of(Workload().lines(5), "pumps", per_request=1))
    with _door(tmp_path, b"") as (door, _), pytest.raises(Refused, match="not answered"):
        hand_over(door, requests, connections=1)


@contextmanager
def _door(folder: Path, answer: bytes) -> Iterator[tuple[Path, list[bytes]]]:
    """Answers every request alike; without an answer it closes the connection."""
    path, bodies = folder / "door", list[bytes]()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    def converse(connection: socket.socket) -> None:
        length = 0
        with closing(connection), connection.makefile("rb") as stream:
            while line := stream.readline():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                if line == b"\r\n":
                    bodies.append(stream.read(length))
                    if not answer:
                        return
                    connection.sendall(answer)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield path, bodies
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def test_the_meter_counts_the_work_and_memory_of_a_process_and_its_children() -> None:
    work = "import sys; x = bytearray(80 << 20); n = sum(range(3_000_000)); print(flush=True); sys.stdin.read()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        meter = Meter(child.pid)
        used, rss, peak = meter.used(), meter.rss_bytes(), meter.peak_rss_bytes()
        child.communicate()
    assert used.cpu_s > 0.02
    assert 80 << 20 < rss <= peak


@pytest.mark.parametrize(
    ("figure", "bar", "verdict"),
    [
        (Figure("wire", 7.5, "B", most=8, aim=6.5), "≤ 8, aim 6.50", "reached"),
        (Figure("wire", 12.0, "B", most=8), "≤ 8", "missed: 150% of it"),
        (Figure("accept", 50_000, "records/s", least=200_000), "≥ 200,000", "missed: 25% of it"),
        (Figure("memory", 50), "", ""),
    ],
)
def test_a_figure_says_whether_it_is_reached(figure: Figure, bar: str, verdict: str) -> None:
    assert (figure.bar, figure.verdict) == (bar, verdict)
