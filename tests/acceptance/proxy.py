"""A link between a site and the hub that can be cut like a cable, or get stuck in the middle of what it carries."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final, Self

_CHUNK_BYTES: Final = 16_384


class Proxy:
    """Forwards TCP from a port of its own to the hub's. Everything runs in daemon threads."""

    def __init__(self, hub_port: int) -> None:
        self._hub_port = hub_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up_bytes = 0
        self._is_cut = False
        self._stall_at: int | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._answering = threading.Event()
        self._answering.set()
        self._age = 0
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        self._flowing.set()
        self._answering.set()

    def cut(self) -> None:
        """Break what is connected, and answer nobody from now on."""
        with self._lock:
            self._is_cut = True
            broken, self._sockets = self._sockets, set()
        for each in broken:
            _break(each)

    def restore(self) -> None:
        """Let everything through again, also what is stuck."""
        self._stall_at, self._is_cut = None, False
        self._flowing.set()
        self._answering.set()

    def stall_after(self, up_bytes: int) -> None:
        """Carry so much more to the hub and then nothing, in either way, without a word; until `restore`."""
        self._stall_at = self.up_bytes + up_bytes

    def stall_answers(self) -> None:
        """Carry everything to the hub and nothing back, until `restore`."""
        self._answering.clear()

    def forget(self) -> None:
        """Do as a router that has forgotten its connections: swallow what they carry, without a word to either side."""
        self._age += 1

    @property
    def is_stuck(self) -> bool:
        return not self._flowing.is_set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                site, _ = self._listener.accept()
                threading.Thread(target=self.carry, args=(site,), daemon=True).start()

    def carry(self, site: socket.socket) -> None:
        """Join a connection to the hub until one of them ends."""
        try:
            hub = socket.create_connection(("127.0.0.1", self._hub_port))
        except OSError:
            _break(site)
            return
        with self._lock:
            refused = self._is_cut
            self._sockets |= set() if refused else {site, hub}
        if refused:
            _break(site)
            _break(hub)
            return
        self.connections += 1
        threading.Thread(target=self._pump, args=(hub, site, False), daemon=True).start()
        self._pump(site, hub, counted=True)

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            age = self._age
            while chunk := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                if not counted:
                    self._answering.wait()
                if age != self._age:
                    continue
                sink.sendall(self._count(chunk) if counted else chunk)
        with self._lock:
            self._sockets -= {source, sink}
        _break(source)
        _break(sink)

    def _count(self, chunk: bytes) -> bytes:
        self.up_bytes += len(chunk)
        if self._stall_at is not None and self.up_bytes >= self._stall_at:
            self._flowing.clear()
        return chunk


def _break(connection: socket.socket) -> None:
    """Shut it down first, so that a thread that waits for it wakes up."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
