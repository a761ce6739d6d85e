"""A link that counts: forwards TCP between a port of its own and the hub's, as a process of its own.

Every byte that either side sends over TCP is counted, both ways, TLS and HTTP included; TCP's and IP's own headers are
not. The link can be cut (what is connected breaks, nobody is let through), restored, and shaped: a round trip, which a
new connection's handshake costs too, and a rate that all connections share, each way for itself.

Speaks JSON lines: a command on standard input, its answer on standard output; ends when standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

_QUEUE_BYTES: Final = 256 * 1024
"""What the narrow place of a shaped link holds before the sender has to wait."""

_SLICE_BYTES: Final = 16 * 1024


@dataclass(slots=True)
class Counts:
    """What went over the link. Times are `time.monotonic()`, which all processes of a machine share.

    Attributes:
        up_bytes, down_bytes: to the hub, from the hub.
        connections: that were let through.
        first_up_s: when the first byte went up since the link was restored; 0 if none did.
    """

    up_bytes: int = 0
    down_bytes: int = 0
    connections: int = 0
    first_up_s: float = 0.0


Action = Callable[[], None]


class Way:
    """One direction of the link: an order of deliveries, later by half the round trip and not quicker than the rate."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.bytes_s = 0.0
        self._free_at_s = 0.0
        self._under_way: deque[tuple[float, Action]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def carry(self, data: bytes, write: Callable[[bytes], None]) -> None:
        """Write data at the other end, when it arrives there."""
        if not self.delay_s and not self.bytes_s and not self._under_way:
            write(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            piece = data[start : start + _SLICE_BYTES]
            self._under_way.append((self._arrival_s(len(piece)), partial(write, piece)))
        self._schedule()

    def follow(self, action: Action) -> None:
        """Do something at the other end after all that is under way has arrived there."""
        self._under_way.append((self._arrival_s(0), action))
        self._deliver()

    def drop(self) -> None:
        """Forget what is under way."""
        self._under_way.clear()
        self._free_at_s = 0.0

    def _arrival_s(self, size: int) -> float:
        now_s = time.monotonic()
        self._free_at_s = max(now_s, self._free_at_s) + (size / self.bytes_s if self.bytes_s else 0)
        return self._free_at_s + self.delay_s

    def _schedule(self) -> None:
        if self._timer is None and self._under_way:
            pause_s = max(0.0, self._under_way[0][0] - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._deliver()

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, action = self._under_way.popleft()
            action()
        self._schedule()


class End(asyncio.Protocol):
    """One end of a connection through the link."""

    def __init__(self, link: Link, *, faces_site: bool) -> None:
        self._link = link
        self._faces_site = faces_site
        self._queued_bytes = 0
        self._peer_writes = True
        self._has_ended = False
        self.peer: End | None = None
        self.transport: asyncio.Transport | None = None

    @property
    def _way(self) -> Way:
        return self._link.way(up=self._faces_site)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._faces_site:
            self._link.accepted(self)

    def data_received(self, data: bytes) -> None:
        self._link.count(data, up=self._faces_site)
        if self.peer is not None:
            self._queued_bytes += len(data)
            self._way.carry(data, self.peer.write)
            self._keep_bound()

    def eof_received(self) -> bool:
        self._has_ended = True
        if self.peer is not None:
            self._way.follow(self.peer.write_eof)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.ends.discard(self)
        if self.peer is not None:
            self._way.follow(self.peer.close)

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.hold(peer_writes=False)

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.hold(peer_writes=True)

    def hold(self, *, peer_writes: bool) -> None:
        """Read on only while the peer can write."""
        self._peer_writes = peer_writes
        self._keep_bound()

    def write(self, data: bytes) -> None:
        """Pass on what the peer has read."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
        if self.peer is not None:
            self.peer.delivered(len(data))

    def write_eof(self) -> None:
        """The peer will read no more; this end may still have something to say."""
        if self.transport is not None and not self.transport.is_closing():
            if self._has_ended:
                self.transport.close()
            else:
                self.transport.write_eof()

    def close(self) -> None:
        """The peer is gone."""
        if self.transport is not None:
            self.transport.close()

    def delivered(self, size: int) -> None:
        """So much of what was read here has left the link."""
        self._queued_bytes -= size
        self._keep_bound()

    def abort(self) -> None:
        """Break like a cable."""
        if self.transport is not None:
            self.transport.abort()

    def _keep_bound(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._peer_writes and self._queued_bytes < _QUEUE_BYTES:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()


class Link:
    """All connections between the sites and one hub."""

    def __init__(self, hub_port: int) -> None:
        self._hub_port = hub_port
        self._is_cut = False
        self._ways = {True: Way(), False: Way()}
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = Counts()
        self.ends: set[End] = set()

    def way(self, *, up: bool) -> Way:
        """The direction to the hub, or from it."""
        return self._ways[up]

    def accepted(self, site: End) -> None:
        """Let a site through, unless the link is cut."""
        if self._is_cut:
            site.abort()
            return
        self.ends.add(site)
        assert site.transport is not None
        site.transport.pause_reading()
        task = asyncio.ensure_future(self._join(site))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, site: End) -> None:
        # TCP's own handshake crosses the real link once each way before the first byte of TLS may leave.
        await asyncio.sleep(sum(way.delay_s for way in self._ways.values()))
        hub = End(self, faces_site=False)
        try:
            await asyncio.get_running_loop().create_connection(lambda: hub, "127.0.0.1", self._hub_port)
        except OSError:
            site.abort()
            return
        self.ends.add(hub)
        self.counts.connections += 1
        site.peer, hub.peer = hub, site
        if self._is_cut:
            self.cut()
        else:
            site.hold(peer_writes=True)

    def count(self, data: bytes, *, up: bool) -> None:
        """Count what was read."""
        if up:
            self.counts.up_bytes += len(data)
            self.counts.first_up_s = self.counts.first_up_s or time.monotonic()
        else:
            self.counts.down_bytes += len(data)

    def cut(self) -> None:
        """Break what is connected, and let nobody through."""
        self._is_cut = True
        for way in self._ways.values():
            way.drop()
        for end in list(self.ends):
            end.abort()

    def restore(self) -> None:
        """Let everybody through again."""
        self._is_cut = False
        self.counts.first_up_s = 0.0

    def shape(self, round_trip_ms: float, mbit_s: float) -> None:
        """Be as slow as that from now on; 0 is as fast as the machine."""
        for way in self._ways.values():
            way.delay_s = round_trip_ms / 2_000
            way.bytes_s = mbit_s * 1_000_000 / 8


def _obey(link: Link, command: dict[str, Any]) -> dict[str, Any]:
    what = command.pop("do")
    if what in {"cut", "restore", "shape"}:
        getattr(link, what)(**command)
    elif what != "counts":
        return {"error": f"no such command: {what}"}
    return asdict(link.counts)


async def _serve(hub_port: int) -> None:
    link = Link(hub_port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: End(link, faces_site=True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    _say({"port": port})
    async for line in commands:
        _say(_obey(link, json.loads(line)))


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hub_port", type=int, help="where the hub listens on this machine")
    asyncio.run(_serve(parser.parse_args().hub_port))
