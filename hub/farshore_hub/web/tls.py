"""TLS of the port, and the HTTP protocol of its connections.

uvicorn does not show an application the certificate that a client signed in with. `HubProtocol` reads it once per
connection and puts it into the scope of every request, in the form of the TLS extension of ASGI. It also bounds what
uvicorn leaves open: the size of a request's head, the time until it is complete, and the time that an answer may lie
unread.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from farshore_hub.fleet.context import Fleet
from farshore_protocol.limits import MAX_PARCEL_BYTES, SLOWEST_BYTES_S

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and headers together."""

HEAD_TIMEOUT_S: Final = 30
"""From the connection, or a request's first byte, until its head is complete."""

UNREAD_S: Final = 60
"""How long a client may leave an answer unread once what the system holds of it is full."""

MAX_PIPELINED: Final = 16
"""Requests of one connection that wait while another is answered; agents send none."""

CLOSING_S: Final = 1.0
"""How long a client may take to end TLS when the hub stops."""

CHECK_S: Final = 30
"""Between two looks at the hub's own certificate and authorities."""

_SEPARATORS_BYTES: Final = 4

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: `signin` looks at the end of a certificate and can say so; a failed handshake cannot."""


def server_context(chain: Path, ca_pem: bytes) -> ssl.SSLContext:
    """TLS 1.3 only; a client certificate is welcome and must be of this hub's CA.

    There are no session tickets: agents keep their connection and never come back with one, and two of them, each with
    the client's certificate inside, were a third of what a handshake cost the hub and half of its bytes to the site.

    `load_cert_chain` on the returned context replaces the hub's certificate for all later connections.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chain)
    context.load_verify_locations(cadata=ca_pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    context.num_tickets = 0
    return context


async def keep_fresh(fleet: Fleet, context: ssl.SSLContext | None) -> None:
    """Renew the hub's TLS certificate in time, for ever; connections made from then on see the new one.

    Sites with certificates of an authority that was added meanwhile are welcome. One that was retired is taken until
    the hub is started again: OpenSSL cannot forget it.
    """
    while True:
        await fleet.clock.sleep(CHECK_S)
        renewed = fleet.keys.renew_tls(fleet.addresses, fleet.clock, fleet.random)
        if context is None:
            continue
        if renewed:
            context.load_cert_chain(fleet.keys.tls_path)
        context.load_verify_locations(cadata=fleet.keys.trusted_pem.decode())


class HubProtocol(HttpToolsProtocol):
    """One connection, with the peer's certificate in the scope of its requests, and with bounds.

    `when_lost` is called at its end. What `bounded` sets, it sets on a subclass, because that is what uvicorn takes.
    """

    body_timeout_s = 120.0
    _tls: dict[str, Any] | None = None
    _head_bytes = 0
    _header_bytes = 0
    _loose_bytes = 0
    _in_head = True
    _came = False
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    when_lost: Callable[[], None] = staticmethod(lambda: None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the certificate."""
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        if secured is not None:
            self._tls = _tls_extension(secured)
        self._expect(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._forget_deadline()
        self.resume_writing()
        super().connection_lost(exc)
        self.when_lost()

    def pause_writing(self) -> None:
        """The client does not read as fast as it asked; it has a while to go on."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, and give up on one that is too long."""
        if self._in_head:
            if not self._head_bytes:
                self._expect(HEAD_TIMEOUT_S)
            self._head_bytes += len(data)
        self._came = self._in_head
        super().data_received(data)
        # What nothing came of is an endless line between the chunks of a body, or a trailer that never ends.
        self._loose_bytes = 0 if self._came else self._loose_bytes + len(data)
        if self._loose_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "Request Header Fields Too Large", f"a line has at most {MAX_HEAD_BYTES} bytes")
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "Request Header Fields Too Large", f"a request's head has at most {MAX_HEAD_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse a head that came in one piece and is too long; a trailer is no part of the request."""
        self._came = True
        if self._in_head:
            super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + _SEPARATORS_BYTES
        if self._header_bytes + len(self.url) > MAX_HEAD_BYTES:
            raise httptools.HttpParserError(f"a request's head has at most {MAX_HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        """The head is there: put the certificate into the scope."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise httptools.HttpParserError(f"at most {MAX_PIPELINED} requests may wait for their turn")
        self._in_head, self._head_bytes, self._header_bytes = False, 0, 0
        self._expect(self.body_timeout_s + self._grant_s())
        if self._tls is not None:
            self.scope["extensions"] = {"tls": cast("dict[object, object]", self._tls)}
        super().on_headers_complete()

    def _grant_s(self) -> float:
        """What a site, which has signed in, is given beside: a slow link takes its time for a large parcel."""
        if not self._tls or not self._tls["client_cert_chain"]:
            return 0.0
        length = dict(self.headers).get(b"content-length", b"0")
        return min(int(length), MAX_PARCEL_BYTES) / SLOWEST_BYTES_S if length.isdigit() else 0.0

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._came = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What follows is another head."""
        self._in_head = self._came = True
        self._header_bytes = 0
        self._forget_deadline()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close when the request under way is answered; a client that does not close its side is not waited for."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(CLOSING_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn calls it
        """Answer what is not HTTP."""
        self._refuse(400, "Bad Request", "this is not an HTTP request that can be read")

    def _refuse(self, status: int, phrase: str, detail: str) -> None:
        body = (
            f'{{"type":"urn:farshore:problem:malformed","title":"The request cannot be read",'
            f'"status":{status},"detail":"{detail}"}}'
        )
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()

    def _expect(self, timeout_s: float) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(timeout_s, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded(body_timeout_s: float) -> type[HubProtocol]:
    """The protocol with this bound."""
    return type("BoundedHubProtocol", (HubProtocol,), {"body_timeout_s": body_timeout_s})


def _tls_extension(secured: ssl.SSLObject) -> dict[str, Any]:
    peer = secured.getpeercert(binary_form=True)
    chain = [ssl.DER_cert_to_PEM_cert(peer)] if peer else []
    return {"client_cert_chain": chain, "server_cert": None, "tls_version": 0x0304, "cipher_suite": None}
