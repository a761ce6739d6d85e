"""Frames on a socket between the hub and a worker: one byte for the kind, four for the length, then so many bytes."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from farshore_protocol.limits import KIB, MIB

MAX_FRAME_BYTES: Final = 32 * MIB
"""Neither side takes in more at a time, whatever the other one sends."""

LAST_WORDS_S: Final = 10
"""A worker that was told to end is killed at once; so long it is waited for if the machine is busy."""

_HEAD: Final = struct.Struct(">BI")


class Kind(enum.IntEnum):
    """What a frame says, in the order of a conversation."""

    QUESTION = 1
    OPENED = 2
    ROWS = 3
    COLUMNS = 4
    PIECE = 5
    DONE = 6
    PROBLEM = 7


class HungUp(Exception):
    """The other side has ended the conversation, or sends what is no frame."""


class Channel:
    """Frames over one end of a socket pair.

    Args:
        end: the socket, which is the channel's from now on.
        left_s: how long the next piece may take to come or go; None waits for ever. Raises TimeoutError at the end.
    """

    def __init__(self, end: socket.socket, left_s: Callable[[], float | None] = lambda: None) -> None:
        self._end = end
        self._left_s = left_s

    def send(self, kind: Kind, body: bytes | memoryview) -> None:
        """Send one frame.

        Raises:
            HungUp: nobody is there.
            TimeoutError: it was not taken in time.
        """
        self._end.settimeout(self._left_s())
        try:
            self._end.sendall(_HEAD.pack(kind, len(body)))
            self._end.sendall(body)
        except TimeoutError:
            raise
        except OSError as error:
            raise HungUp(str(error)) from None

    def receive(self) -> tuple[Kind, bytearray]:
        """The next frame.

        Raises:
            HungUp: it does not come any more.
            TimeoutError: it did not come in time.
        """
        kind, length = _HEAD.unpack(self._exactly(_HEAD.size))
        if kind not in frozenset(Kind) or length > MAX_FRAME_BYTES:
            raise HungUp(f"a frame of kind {kind} with {length} bytes")
        return Kind(kind), self._exactly(length)

    def hang_up(self) -> None:
        """End the conversation, from any thread; the zygote kills the worker, and who waits for a frame is told so."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the conversation, wait until the worker is gone, and let go of the socket."""
        self.hang_up()
        with suppress(OSError), self._end:
            self._end.settimeout(LAST_WORDS_S)
            while self._end.recv(64 * KIB):
                pass

    def _exactly(self, count: int) -> bytearray:
        body = bytearray(count)
        view, at = memoryview(body), 0
        while at < count:
            self._end.settimeout(self._left_s())
            try:
                got = self._end.recv_into(view[at:])
            except TimeoutError:
                raise
            except OSError as error:
                raise HungUp(str(error)) from None
            if not got:
                raise HungUp("the conversation has ended")
            at += got
        return body
