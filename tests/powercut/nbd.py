"""Serves a disk to QEMU over a Unix socket: as much of the NBD protocol as QEMU speaks.

Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, the fixed newstyle handshake with NBD_OPT_GO
and simple replies. One client at a time. A disk without power does not even fail: it answers nothing, so that nobody in
the guest sees an error that a real power cut would not leave anybody to see.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
from pathlib import Path
from typing import Final, Self

from tests.powercut.disk import PoweredOff, VolatileDisk

_GREETING: Final = struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 0b11)  # fixed newstyle, no zeroes
_OPTION: Final = struct.Struct(">8sII")
_OPTION_REPLY: Final = struct.Struct(">QIII")
_OPTION_MAGIC: Final = 0x3E889045565A9
_OPT_ABORT, _OPT_INFO, _OPT_GO = 2, 6, 7
_REP_ACK, _REP_INFO, _REP_UNSUPPORTED = 1, 3, 2**31 + 1

_REQUEST: Final = struct.Struct(">IHHQQI")
_REQUEST_MAGIC: Final = 0x25609513
_REPLY: Final = struct.Struct(">IIQ")
_REPLY_MAGIC: Final = 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_FUA: Final = 1
_HAS_FLAGS_FLUSH_FUA: Final = 0b1101
_IGNORED_BYTES: Final = 65_536


class Closed(ConnectionError):
    """The other side has hung up."""


class DiskServer:
    """Serves one disk on one socket, in a daemon thread."""

    def __init__(self, disk: VolatileDisk, path: Path) -> None:
        self.path = path
        self._disk = disk
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    serve(self._disk, client)


def serve(disk: VolatileDisk, client: socket.socket) -> None:
    """Serve one client until it leaves.

    Raises:
        OSError: it has left without a word.
    """
    try:
        if _negotiate(disk, client):
            while _answer_request(disk, client):
                pass
    except PoweredOff:
        while client.recv(_IGNORED_BYTES):
            pass


def _negotiate(disk: VolatileDisk, client: socket.socket) -> bool:
    """Agree on the export; False if the client left instead."""
    client.sendall(_GREETING)
    _receive(client, 4)
    while True:
        _, option, length = _OPTION.unpack(_receive(client, _OPTION.size))
        _receive(client, length)
        if option in {_OPT_GO, _OPT_INFO}:
            export = struct.pack(">HQH", 0, disk.size, _HAS_FLAGS_FLUSH_FUA)
            _reply_option(client, option, _REP_INFO, export)
            _reply_option(client, option, _REP_ACK)
            if option == _OPT_GO:
                return True
        elif option == _OPT_ABORT:
            _reply_option(client, option, _REP_ACK)
            return False
        else:
            _reply_option(client, option, _REP_UNSUPPORTED)


def _reply_option(client: socket.socket, option: int, kind: int, content: bytes = b"") -> None:
    client.sendall(_OPTION_REPLY.pack(_OPTION_MAGIC, option, kind, len(content)) + content)


def _answer_request(disk: VolatileDisk, client: socket.socket) -> bool:
    magic, flags, kind, cookie, offset, count = _REQUEST.unpack(_receive(client, _REQUEST.size))
    if magic != _REQUEST_MAGIC:
        raise Closed(f"{magic:x} does not begin a request")
    content = _receive(client, count) if kind == _WRITE else b""
    if kind == _DISCONNECT:
        return False
    error, found = 0, b""
    try:
        found = _perform(disk, kind, offset, count, content, through=bool(flags & _FUA))
    except ValueError:
        error = errno.EINVAL
    client.sendall(_REPLY.pack(_REPLY_MAGIC, error, cookie) + found)
    return True


def _perform(disk: VolatileDisk, kind: int, offset: int, count: int, content: bytes, *, through: bool) -> bytes:
    if kind == _READ:
        return disk.read(offset, count)
    if kind == _WRITE:
        disk.write(offset, content, through=through)
    elif kind == _FLUSH:
        disk.flush()
    else:
        raise ValueError(f"request {kind} is not known")
    return b""


def _receive(client: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        chunk = client.recv(count - len(received))
        if not chunk:
            raise Closed("the client has hung up")
        received += chunk
    return bytes(received)
