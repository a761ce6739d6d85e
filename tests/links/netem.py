"""A bad network in user space: two TUN devices, one here and one in a network namespace of its own.

Every IP packet between them passes through this process, which delays, reorders, drops, doubles or slows it as it is
told; real kernels' TCP runs on top. It takes the place of tc netem, which not every kernel has. As a program it reads
an impairment as JSON from each line of its standard input and answers with what it has carried; it ends with its
standard input, and its namespace with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 1
_IFF_NO_PI: Final = 0x1000
_CLONE_NEWNET: Final = 0x40000000
_MTU: Final = 1400
_MAX_PACKETS: Final = 64
_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Impairment:
    """What the link does to packets, the same in both directions.

    Attributes:
        delay_ms: one way.
        jitter_ms: at most so much earlier or later, each packet by itself, so that they overtake one another.
        loss, doubled: shares of the packets.
        rate_kbit_s: 0 for a link without a bound.
        queue_ms: what would wait longer for its turn is dropped.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    doubled: float = 0.0
    rate_kbit_s: float = 0.0
    queue_ms: float = 1_000.0


@dataclass(slots=True)
class Carried:
    """What one direction was given, in packets and bytes, and how many of them it dropped or doubled."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    doubled: int = 0


@dataclass(slots=True)
class Way:
    """One direction: decides when, and whether, a packet arrives. Times are seconds."""

    chance: random.Random
    carried: Carried = field(default_factory=Carried)
    busy_until_s: float = 0.0

    def arrivals(self, size: int, now_s: float, how: Impairment) -> list[float]:
        """When a packet of `size` bytes arrives: never, once or twice."""
        self.carried.packets += 1
        self.carried.bytes += size
        start_s = max(now_s, self.busy_until_s) if how.rate_kbit_s else now_s
        if self.chance.random() < how.loss or start_s - now_s > how.queue_ms / _MS:
            self.carried.lost += 1
            return []
        if how.rate_kbit_s:
            start_s += size * 8 / (how.rate_kbit_s * _MS)
            self.busy_until_s = start_s
        is_doubled = self.chance.random() < how.doubled
        self.carried.doubled += is_doubled
        late_ms = (how.delay_ms + self.chance.uniform(-1, 1) * how.jitter_ms for _ in range(1 + is_doubled))
        return [start_s + max(0.0, each) / _MS for each in late_ms]


class Link:
    """Carries packets between two TUN devices until its standard input ends."""

    def __init__(self, near: int, far: int) -> None:
        self._how = Impairment()
        self._ways = {near: (far, Way(random.Random(1))), far: (near, Way(random.Random(2)))}
        self._due: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._selector = selectors.DefaultSelector()
        for source in (near, far, sys.stdin.fileno()):
            self._selector.register(source, selectors.EVENT_READ)

    def run(self) -> None:
        while True:
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait_s):
                if key.fd in self._ways:
                    self._take(key.fd)
                elif not self._obey():
                    return
            self._deliver()

    def _take(self, source: int) -> None:
        sink, way = self._ways[source]
        for _ in range(_MAX_PACKETS):
            try:
                packet = os.read(source, 65_535)
            except BlockingIOError:
                return
            for at_s in way.arrivals(len(packet), time.monotonic(), self._how):
                heapq.heappush(self._due, (at_s, next(self._numbers), sink, packet))

    def _deliver(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, sink, packet = heapq.heappop(self._due)
            try:
                os.write(sink, packet)
            except BlockingIOError:
                continue

    def _obey(self) -> bool:
        line = sys.stdin.readline()
        if not line:
            return False
        if told := json.loads(line):
            self._how = Impairment(**told)
        up, down = (asdict(way.carried) for _, way in reversed(self._ways.values()))
        print(json.dumps({"up": up, "down": down}), flush=True)  # noqa: T201 - this is its answer
        return True


def device(name: str, address: str, peer: str) -> int:
    """A TUN device in the present namespace; its file.

    Raises:
        OSError, CalledProcessError: it is not permitted here.
    """
    found = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(found, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", address, "peer", peer, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "mtu", str(_MTU), "txqueuelen", "2000", "up"], check=True)
    return found


def main() -> None:
    """Join this namespace, as the address that is the first argument, to a new one, as the second.

    The third argument is the congestion control of TCP in the new one, such as `reno`.
    """
    here, there, congestion = sys.argv[1:]
    near = device(f"fs{os.getpid()}", here, there)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace is not permitted here")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text(congestion, encoding="ascii")
    far = device("site", there, here)
    print("ready", flush=True)  # noqa: T201 - whoever started it waits for this
    Link(near, far).run()


if __name__ == "__main__":
    main()
