"""An HTTP/1.1 client for one address: one kept connection, a deadline on every wait, a bound on every answer.

A request that finds the kept connection closed is sent once more on a new one; nothing else is repeated here. Requests
are made one after the other. It trusts whom the TLS context that is handed in trusts.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import httptools

from farshore_agent.net.limits import KIB, MIB
from farshore_agent.net.messages import Response

_INFORMATIONAL: Final = 200
"""A status below it announces a later one."""


class ClientError(Exception):
    """There is no answer that could be used. The text says why, for people."""


class CannotConnect(ClientError):
    """No connection: no such name, nobody listens, or no way there."""


class NotTrusted(CannotConnect):
    """Whoever answers has not proved to be the one who was meant."""


class ConnectionLost(ClientError):
    """The connection ended before the answer did. The request may have been acted upon."""


class DeadlinePassed(ClientError):
    """It took too long. The request may have been acted upon."""


class BadAnswer(ClientError):
    """What came is not HTTP, or too large."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens: a TCP address, or the path of a unix socket.

    Attributes:
        tls: plain HTTP without.
        tls_name: what the server's certificate has to be for.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.path else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds of one client.

    Attributes:
        connect_s: until the connection is there, TLS included.
        total_s: from the start of a request until its answer is complete.
        max_body_bytes: of one answer.
        max_header_bytes: of one answer.
    """

    connect_s: float = 15
    total_s: float = 60
    max_body_bytes: int = 16 * MIB
    max_header_bytes: int = 32 * KIB


class HttpClient:
    """Asks one server. Close it in any case."""

    def __init__(self, endpoint: Endpoint, *, limits: ClientLimits | None = None) -> None:
        self.endpoint = endpoint
        self._limits = limits or ClientLimits()
        self._connection: _Connection | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        total_s: float | None = None,
    ) -> Response:
        """Send a request and return its answer, whatever its status.

        Raises:
            ClientError: there is no answer; its classes say in which way.
        """
        head = _head(method, path, self.endpoint, len(body), headers or {})
        limit_s = self._limits.total_s if total_s is None else total_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._conversation(head, body)
        except TimeoutError:
            await self.close()
            raise DeadlinePassed(f"{self.endpoint} did not answer within {limit_s:g} s") from None
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """End the kept connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _conversation(self, head: bytes, body: bytes) -> Response:
        kept = self._connection
        if kept is not None and kept.usable:
            try:
                return await kept.ask(head, body)
            except ConnectionLost:
                if kept.heard:
                    raise
        self._connection = await self._connect()
        return await self._connection.ask(head, body)

    async def _connect(self) -> _Connection:
        await self.close()
        try:
            async with asyncio.timeout(self._limits.connect_s):
                return await self._open()
        except TimeoutError:
            raise CannotConnect(f"{self.endpoint} did not accept within {self._limits.connect_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NotTrusted(f"{self.endpoint} shows a certificate that is not trusted: {_reason(error)}") from None
        except OSError as error:
            raise CannotConnect(f"{self.endpoint} cannot be reached: {_reason(error)}") from None

    async def _open(self) -> _Connection:
        loop, at = asyncio.get_running_loop(), self.endpoint
        if at.path is not None:
            _, connection = await loop.create_unix_connection(self._new, str(at.path))
        else:
            _, connection = await loop.create_connection(
                self._new, at.host, at.port, ssl=at.tls, server_hostname=at.tls_name if at.tls else None
            )
        return connection

    def _new(self) -> _Connection:
        return _Connection(str(self.endpoint), self._limits)


class _Connection(asyncio.Protocol):
    """One connection; httptools calls its `on_` methods.

    Attributes:
        heard: something of the present answer has come.
    """

    def __init__(self, peer: str, limits: ClientLimits) -> None:
        self._peer = peer
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._begin()
        self.heard = False
        self.usable = True

    async def ask(self, head: bytes, body: bytes) -> Response:
        """One request and its answer."""
        if self._transport is None:
            raise ConnectionLost(f"{self._peer} closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self.heard = False
        self._transport.write(head)
        self._transport.write(body)
        return await self._answer

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._transport, self.usable = None, False
        why = f": {_reason(error)}" if error else ""
        self._fail(ConnectionLost(f"{self._peer} ended the connection before it had answered{why}"))

    def data_received(self, data: bytes) -> None:
        """A part of the answer; what comes without a question ends the connection."""
        if self._answer is None or self._answer.done():
            self.abort()
            return
        self.heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, BadAnswer) else BadAnswer(f"{self._peer} does not speak HTTP/1.1"))
            self.abort()
            return
        if self._in_head:
            self._charge_head(len(data))

    def on_message_begin(self) -> None:
        """An answer starts."""
        self._begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Refuse a body that is too large before it comes."""
        self._in_head = False
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.max_body_bytes:
            raise self._too_long()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
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
        unsent = self._transport.get_write_buffer_size() if self._transport else 0
        if unsent or not self._parser.should_keep_alive():
            self.abort()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_bytes = 0
        self._in_head = False

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


def _head(method: str, path: str, at: Endpoint, length: int, headers: Mapping[str, str]) -> bytes:
    host = "localhost" if at.path else f"[{at.host}]" if ":" in at.host else at.host
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}:{at.port}" if at.port else f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"content-length: {length}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _reason(error: Exception) -> str:
    """What a system error says, without its numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror
    return str(error) or type(error).__name__
