"""Hands prepared requests to the agent's HTTP door as quickly as it takes them, at little cost of its own.

A request is bytes that were made before the clock starts. Each of a few kept connections has one request under way; the
next goes out when the last one is answered, as a producer does that wants to know its records safe.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ANSWER_BYTES: Final = 65_536
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200 "
_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the socket, and how many records that is."""

    raw: bytes
    records: int


@dataclass(slots=True)
class Accepted:
    """What the door has done with the requests.

    Attributes:
        records: acknowledged.
        seconds: from the first byte to the last answer.
        latencies_s: per request, in no order.
        answered, unanswered: indices of requests; the second ones were on their way when the door went away.
    """

    records: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Records acknowledged a second."""
        return self.records / self.seconds

    def latency_ms(self, share: float) -> float:
        """The latency that this share of the requests did not exceed."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Refused(RuntimeError):
    """The door did not take a request; the benchmark is wrong, or the agent is."""


def requests_of(lines: Sequence[bytes], stream: str, *, per_request: int) -> Iterator[Request]:
    """POST requests of so many lines each."""
    for start in range(0, len(lines), per_request):
        part = lines[start : start + per_request]
        body = b"".join(part)
        head = (
            f"POST /v1/streams/{stream} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/x-ndjson\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        yield Request(head.encode() + body, len(part))


class Producers:
    """A few connections to a door that share one list of requests."""

    def __init__(self, door: Path, requests: Sequence[Request], connections: int = 8) -> None:
        self._door = door
        self._requests = requests
        self._next = iter(range(len(requests)))
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._failures: list[Exception] = []
        self._threads = [threading.Thread(target=self._produce, daemon=True) for _ in range(connections)]
        self._began_s = 0.0
        self.accepted = Accepted()

    def start(self) -> None:
        """Begin, and return at once."""
        self._began_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def finish(self) -> Accepted:
        """Wait until every request is answered, or the door is gone.

        Raises:
            Refused: the door said no.
        """
        for thread in self._threads:
            thread.join()
        for failure in self._failures:
            raise failure
        return self.accepted

    def stop(self) -> Accepted:
        """Send no more, and wait for the answers to what was sent."""
        self._over.set()
        return self.finish()

    def _produce(self) -> None:
        try:
            with contextlib.closing(_connected(self._door)) as connection:
                while (number := self._take()) is not None and self._hand_over(connection, number):
                    pass
        except (Refused, TimeoutError) as error:
            self._failures.append(error)
            self._over.set()

    def _take(self) -> int | None:
        with self._lock:
            return None if self._over.is_set() else next(self._next, None)

    def _hand_over(self, connection: socket.socket, number: int) -> bool:
        """Whether the request was answered, and the door is still there."""
        request, began_s = self._requests[number], time.monotonic()
        try:
            connection.sendall(request.raw)
            answer = _answer(connection)
        except ConnectionError:
            answer = b""
        if answer and not answer.startswith(_OK):
            raise Refused(answer.decode(errors="replace"))
        now_s = time.monotonic()
        with self._lock:
            if answer:
                self.accepted.answered.append(number)
                self.accepted.records += request.records
                self.accepted.latencies_s.append(now_s - began_s)
                self.accepted.seconds = now_s - self._began_s
            else:
                self.accepted.unanswered.append(number)
        return bool(answer)


def hand_over(door: Path, requests: Sequence[Request], connections: int = 8) -> Accepted:
    """Hand over all requests, and return when the last one is answered.

    Raises:
        Refused: the door said no, or went away.
    """
    producers = Producers(door, requests, connections)
    producers.start()
    accepted = producers.finish()
    if accepted.unanswered:
        raise Refused(f"{len(accepted.unanswered)} requests were not answered")
    return accepted


def records_in(requests: Iterable[Request]) -> int:
    """How many records they carry."""
    return sum(request.records for request in requests)


def _connected(door: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_TIMEOUT_S)
    connection.connect(str(door))
    return connection


def _answer(connection: socket.socket) -> bytes:
    """One whole answer; nothing when the door is gone."""
    answer = b""
    while True:
        more = connection.recv(_ANSWER_BYTES)
        if not more:
            return b""
        answer += more
        head, end, body = answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and length and len(body) >= int(length[1]):
            return answer
