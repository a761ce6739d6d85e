"""From bytes to requests, without I/O: httptools with bounds on what it may collect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import httptools

from farshore_agent.net.limits import ServerLimits
from farshore_agent.net.messages import HttpError, Request

REQUEST_BYTES: Final = 2048
"""What a request takes in memory besides its body: a peer may send ten thousand of 18 bytes in one piece."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole request, whether its peer keeps the connection, and the bytes of room that it holds."""

    request: Request
    keep_alive: bool
    held_bytes: int


class RequestReader:
    """Reads the requests of one connection; httptools calls its `on_` methods. After an error it is of no more use.

    Attributes:
        in_request: a request has begun and is not complete.
        continue_asked: its sender waits for "100 Continue".
    """

    def __init__(self, limits: ServerLimits, hold: Callable[[int], bool]) -> None:
        self._limits = limits
        self._hold = hold
        self._parser = httptools.HttpRequestParser(self)
        self._complete: list[Received] = []
        self.in_request = False
        self._begin()

    @property
    def held_bytes(self) -> int:
        """Room that the unfinished body holds."""
        return len(self._body)

    def feed(self, data: bytes) -> None:
        """Take what the peer sent; `take` has what became complete by it, also when this raises.

        Raises:
            HttpError: what came is no request, or too large.
        """
        in_head, self._came = self._in_head, False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._hold(-self._complete.pop().held_bytes)
            raise HttpError(400, "this server speaks HTTP/1.1 only: send no Upgrade header") from None
        except httptools.HttpParserCallbackError as error:
            raise _cause(error) from None
        except httptools.HttpParserError as error:
            raise HttpError(400, f"this is not HTTP/1.1: {error}") from None
        if in_head and self._in_head:
            self._charge_head(len(data))
        else:
            self._charge_loose(len(data))

    def take(self) -> list[Received]:
        """The requests that are complete, in their order; each is given once."""
        complete, self._complete = self._complete, []
        return complete

    def on_message_begin(self) -> None:
        """A request starts."""
        self._begin()
        self._in_head = self.in_request = True

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._charge_head(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole; or a trailer, which is no part of the request (RFC 9110, 6.5.1)."""
        self._came = True
        self._charge_head(len(name) + len(value))
        if not self._in_head:
            return
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Refuse a body that is too large before it comes."""
        self._in_head = False
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.max_body_bytes:
            raise _too_long(self._limits.max_body_bytes)
        expected = self._headers.get("expect", "").lower()
        if expected not in {"", "100-continue"}:
            raise HttpError(417, f"the expectation {expected[:40]!r} is not known")
        self.continue_asked = bool(expected)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._came = True
        self.continue_asked = False
        if len(self._body) + len(body) > self._limits.max_body_bytes:
            raise _too_long(self._limits.max_body_bytes)
        if not self._hold(len(body)):
            raise _too_much()
        self._body += body

    def on_message_complete(self) -> None:
        """A whole request."""
        url = httptools.parse_url(self._url)
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            path=unquote((url.path or b"/").decode("ascii")),
            query=(url.query or b"").decode("ascii"),
            headers=self._headers,
            body=bytes(self._body),
        )
        if not self._hold(REQUEST_BYTES):
            raise _too_much()
        self._complete.append(Received(request, self._parser.should_keep_alive(), len(self._body) + REQUEST_BYTES))
        self._begin()
        self._came = True
        self.in_request = False

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_bytes = self._loose_bytes = 0
        self._in_head = self._came = False
        self.continue_asked = False

    def _charge_head(self, count: int) -> None:
        """Count a part of the head, also one that the parser keeps until its line ends."""
        self._head_bytes += count
        if self._head_bytes > self._limits.max_header_bytes:
            raise HttpError(431, f"the headers are longer than {self._limits.max_header_bytes} bytes")

    def _charge_loose(self, count: int) -> None:
        """Count what nothing came of: an endless line between the chunks of a body, or a trailer that never ends."""
        self._loose_bytes = 0 if self._came or not self.in_request else self._loose_bytes + count
        if self._loose_bytes > self._limits.max_header_bytes:
            raise HttpError(431, f"a line of the body's framing is longer than {self._limits.max_header_bytes} bytes")


def _too_much() -> HttpError:
    return HttpError(503, "too much is being received at once", headers={"retry-after": "1"})


def _too_long(limit: int) -> HttpError:
    return HttpError(413, f"the body is larger than {limit} bytes: send it in parts")


def _cause(error: httptools.HttpParserCallbackError) -> HttpError:
    """What a callback raised; the parser wraps it."""
    cause = error.__context__
    return cause if isinstance(cause, HttpError) else HttpError(400, "the request target cannot be read")
