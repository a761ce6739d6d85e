"""TCP that notices when its peer is gone: a dead connection is not found out by the next parcel but before it.

A home router forgets a silent connection after a few minutes, and a peer that lost its power says nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import Final

from farshore_agent.net.limits import KIB

IDLE_S: Final = 30
"""A connection that is silent for so long is probed; the probes also keep the routers' memory of it."""

PROBE_EVERY_S: Final = 10

UNANSWERED_MS: Final = 30_000
"""What the peer's system has not confirmed after so long ends the connection, probes as well as data (RFC 5482)."""

_STEADY: Final = b"bbr"
"""A congestion control that does not take every loss for congestion; only where the system has it and allows it."""

_UNSENT_BYTES: Final = 64 * KIB
"""More than this does not wait in the kernel, where it could not be called back."""


def keep_alive(transport: asyncio.Transport) -> None:
    """Set the options of a TCP connection; anything else is left alone."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _STEADY)


def unacknowledged_bytes(transport: asyncio.Transport) -> int:
    """How many bytes the kernel holds that the peer's has not confirmed (SIOCOUTQ)."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return 0
    found: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return found
