"""The connections of an HTTP/1.1 server: on each, requests go to the handler one by one, answers go out in that order.

While a request is answered, reading pauses; so a peer that pipelines waits in its own socket. Whatever the peer sends,
it gets an answer or the connection ends; nothing of it raises out of here.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import deque
from typing import cast

from farshore_agent.net.limits import ServerLimits
from farshore_agent.net.messages import HttpError, Request, Response, render
from farshore_agent.net.reading import Received, RequestReader
from farshore_agent.net.routes import Handler
from farshore_protocol.ports import Clock

_LOG = logging.getLogger(__name__)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(enum.Enum):
    """What the connection waits for; its limits say for how long."""

    IDLE = "idle"
    RECEIVING = "receiving"
    ANSWERING = "answering"
    LINGERING = "lingering"
    """The last answer is sent; what the peer still sends is thrown away."""


class Connections:
    """All connections of one server, and what they share: the handler, the clock, and the bounds.

    Attributes:
        held_bytes: what the bodies take that wait for their end or their answer.
    """

    def __init__(self, handler: Handler, clock: Clock, limits: ServerLimits) -> None:
        self.handler = handler
        self.clock = clock
        self.limits = limits
        self.held_bytes = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self._all: set[Connection] = set()

    def accept(self) -> Connection:
        """The protocol of a socket that is accepted."""
        return Connection(self)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False if it is one too many."""
        self._all.add(connection)
        self.empty.clear()
        return len(self._all) <= self.limits.max_connections

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._all.discard(connection)
        if not self._all:
            self.empty.set()

    def hold(self, count: int) -> bool:
        """Take `count` bytes of the room for bodies; False if there is not so much."""
        if self.held_bytes + count > self.limits.max_held_bytes:
            return False
        self.held_bytes += count
        return True

    def release(self, count: int) -> None:
        """Give them back."""
        self.held_bytes -= count

    def expire(self) -> None:
        """End those that have waited too long; called regularly."""
        now_s = self.clock.monotonic_s()
        for connection in tuple(self._all):
            connection.expire(now_s)

    def stop(self) -> None:
        """Let each answer what has begun, and close."""
        for connection in tuple(self._all):
            connection.stop()

    def abort(self) -> None:
        """Close all at once."""
        for connection in tuple(self._all):
            connection.abort()


class Connection(asyncio.Protocol):
    """The protocol of one accepted socket."""

    def __init__(self, others: Connections) -> None:
        self._others = others
        self._reader = RequestReader(others.limits, others.hold)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Received | HttpError] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._failed = False
        self._stopping = False
        self._peer_done = False
        self._enter(Phase.IDLE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has come."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._others.admit(self):
            self._fail(HttpError(503, "too many connections", headers={"retry-after": "1"}))

    def connection_lost(self, _error: Exception | None) -> None:
        """The peer has gone. What is being handled goes on: it may be half stored."""
        self._transport = None
        self._writable.set()
        if not self._failed:
            self._others.release(self._reader.held_bytes)
        self._others.forget(self)

    def pause_writing(self) -> None:
        """The peer does not read its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It reads again."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Queue the requests that are complete."""
        if self._failed or self._phase is Phase.LINGERING:
            return
        if self._phase is Phase.IDLE:
            self._enter(Phase.RECEIVING)
        error = None
        try:
            self._reader.feed(data)
        except HttpError as raised:
            error = raised
        for received in self._reader.take():
            self._enqueue(received)
        if error is not None:
            self._fail(error)
        elif self._reader.continue_asked and self._worker is None:
            self._write(_CONTINUE)

    def eof_received(self) -> bool:
        """The peer sends no more; it may still wait for an answer."""
        self._peer_done = True
        return self._worker is not None

    def expire(self, now_s: float) -> None:
        """End it if it has waited too long."""
        waited_s, limits = now_s - self._since_s, self._others.limits
        if self._phase is Phase.IDLE and waited_s > limits.idle_s:
            self._close()
        elif self._phase is Phase.RECEIVING and waited_s > limits.request_s:
            self._fail(HttpError(408, f"the request did not arrive within {limits.request_s:g} s"))
        elif waited_s > (limits.linger_s if self._phase is Phase.LINGERING else limits.idle_s) and self._is_stuck():
            self.abort()

    def stop(self) -> None:
        """Answer what has begun, then close."""
        self._stopping = True
        if self._phase is Phase.IDLE:
            self._close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _is_stuck(self) -> bool:
        return self._phase is Phase.LINGERING or not self._writable.is_set()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since_s = self._others.clock.monotonic_s()

    def _fail(self, error: HttpError) -> None:
        """Answer with the error, in its turn; then the connection ends."""
        self._failed = True
        self._others.release(self._reader.held_bytes)
        self._enqueue(error)

    def _enqueue(self, what: Received | HttpError) -> None:
        self._waiting.append(what)
        if self._worker is None and self._transport is not None:
            self._enter(Phase.ANSWERING)
            self._transport.pause_reading()
            self._worker = asyncio.get_running_loop().create_task(self._answer_all())

    async def _answer_all(self) -> None:
        keep_alive = True
        while self._waiting and keep_alive:
            what = self._waiting.popleft()
            response, with_body = await self._response(what)
            keep_alive = isinstance(what, Received) and what.keep_alive and not self._stopping and not self._peer_done
            self._write(render(response, keep_alive=keep_alive, with_body=with_body))
            await self._writable.wait()
        self._worker = None
        if keep_alive:
            self._go_on()
        else:
            self._end()

    async def _response(self, what: Received | HttpError) -> tuple[Response, bool]:
        if isinstance(what, HttpError):
            return what.response(), True
        try:
            return await self._handled(what.request), what.request.method != "HEAD"
        finally:
            self._others.release(what.held_bytes)

    async def _handled(self, request: Request) -> Response:
        try:
            return await self._others.handler(request)
        except HttpError as error:
            return error.response()
        except Exception:  # noqa: BLE001 - the peer gets an answer whatever the handler does, and the log the reason
            _LOG.exception("answering %s %s failed", request.method, request.path)
            return HttpError(500, "the server failed; its log says why").response()

    def _go_on(self) -> None:
        self._enter(Phase.RECEIVING if self._reader.in_request else Phase.IDLE)
        if self._transport is None:
            return
        self._transport.resume_reading()
        if self._reader.continue_asked:
            self._write(_CONTINUE)

    def _end(self) -> None:
        """Closing at once would reset the connection, and a peer that still sends would not see the answer."""
        self._enter(Phase.LINGERING)
        self._others.release(sum(what.held_bytes for what in self._waiting if isinstance(what, Received)))
        self._waiting.clear()
        if self._transport is None:
            return
        if self._peer_done or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
