"""One connection of an HTTP client: questions and answers in turn; whatever the peer sends, within bounds."""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools

from farshore_agent.net.failures import BadAnswer, ClientError, ConnectionLost, reason
from farshore_agent.net.limits import KIB, ClientLimits
from farshore_agent.net.liveness import keep_alive, unacknowledged_bytes
from farshore_agent.net.messages import Response

_INFORMATIONAL: Final = 200
"""A status below it announces a later one."""

_PIECE_BYTES: Final = 16 * KIB


class Conversation(asyncio.Protocol):
    """One connection; httptools calls its `on_` methods.

    Attributes:
        heard: something of the present answer has come.
    """

    def __init__(self, peer: str, limits: ClientLimits) -> None:
        self._peer = peer
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin()
        self._is_sent = True
        self._moved_bytes = 0
        self.heard = False
        self.usable = True

    @property
    def progress(self) -> tuple[int, int]:
        """Another one than before if bytes have gone out, were taken by the peer's system, or came in."""
        return self._moved_bytes, unacknowledged_bytes(self._transport) if self._transport else 0

    async def ask(self, head: bytes, body: bytes) -> Response:
        """One request and its answer."""
        if self._transport is None:
            raise ConnectionLost(f"{self._peer} closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self.heard = self._is_sent = False
        sending = asyncio.ensure_future(self._send(self._transport, head, body))
        try:
            return await self._answer
        finally:
            sending.cancel()

    async def _send(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Hand the request over piece by piece, so that an early answer can spare the rest.

        The head goes with the first piece: small requests are one TLS record and one packet.
        """
        first = body[:_PIECE_BYTES]
        transport.write(head + first)
        self._moved_bytes += len(first)
        for start in range(_PIECE_BYTES, len(body), _PIECE_BYTES):
            await self._writable.wait()
            piece = body[start : start + _PIECE_BYTES]
            transport.write(piece)
            self._moved_bytes += len(piece)
        self._is_sent = True

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_PIECE_BYTES)
        keep_alive(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._transport, self.usable = None, False
        self._writable.set()
        why = f": {reason(error)}" if error else ""
        self._fail(ConnectionLost(f"{self._peer} ended the connection before it had answered{why}"))

    def pause_writing(self) -> None:
        """The peer takes the request more slowly than it is written."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """A part of the answer; what comes without a question ends the connection."""
        if self._answer is None or self._answer.done():
            self.abort()
            return
        self.heard, self._came = True, False
        self._moved_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, BadAnswer) else BadAnswer(f"{self._peer} does not speak HTTP/1.1"))
            self.abort()
            return
        if self._in_head or not self._came:
            self._charge_head(len(data))

    def on_message_begin(self) -> None:
        """An answer starts."""
        self._begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole; or a trailer, which is no part of the answer (RFC 9110, 6.5.1)."""
        self._came = True
        if not self._in_head:
            self._charge_head(len(name) + len(value))
            return
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Refuse a body that is too large before it comes."""
        self._in_head = False
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.max_body_bytes:
            raise self._too_long()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._came = True
        self._body += body
        if len(self._body) > self._limits.max_body_bytes:
            raise self._too_long()

    def on_message_complete(self) -> None:
        """A whole answer."""
        status = self._parser.get_status_code()
        if status < _INFORMATIONAL or self._answer is None or self._answer.done():
            return
        self._answer.set_result(Response(status, bytes(self._body), self._headers))
        # A server that answers before it has read everything does not want the rest.
        if not self._is_sent or not self._parser.should_keep_alive():
            self.abort()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_bytes = 0
        self._in_head = self._came = False

    def _charge_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._limits.max_header_bytes:
            self._fail(BadAnswer(f"{self._peer} sends headers of more than {self._limits.max_header_bytes} bytes"))
            self.abort()

    def _too_long(self) -> BadAnswer:
        return BadAnswer(f"{self._peer} sends more than {self._limits.max_body_bytes} bytes")

    def _fail(self, error: ClientError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
