"""A webhook: one POST over HTTPS, signed, within a time, its answer read only as far as it matters.

No redirect is followed: the receiver that was named is the one that is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11

from farshore_hub.notify.addresses import addresses_of
from farshore_hub.notify.channel import NotDelivered
from farshore_hub.notify.signing import signed_headers
from farshore_hub.store.messages import Message
from farshore_protocol import __version__
from farshore_protocol.limits import KIB
from farshore_protocol.ports import Clock

MAX_ANSWER_BYTES: Final = 64 * KIB
MAX_RETRY_AFTER_S: Final = 3600
_CHUNK: Final = 16 * KIB
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_REFUSALS: Final = (400, 413, 415, 422)
"""Answers that are about the message, not about the receiver."""

_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver. Its address and its secret are in no text that it makes."""

    name: str
    url: str
    secret: str
    timeout_s: float
    tls: ssl.SSLContext | None
    clock: Clock

    def __repr__(self) -> str:
        return f"<{self.name}>"

    async def send(self, message: Message) -> None:
        """Post a message.

        Raises:
            NotDelivered: for any reason; the text says which.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                status, retry_after_s = await self._post(message)
        except TimeoutError:
            raise NotDelivered(f"no answer within {self.timeout_s:.0f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(f"its certificate is not trusted: {error.verify_message}") from None
        except OSError as error:
            raise NotDelivered(f"it cannot be reached: {error.strerror or type(error).__name__}") from None
        except (h11.RemoteProtocolError, EOFError):
            raise NotDelivered("what answers does not speak HTTP") from None
        if status in _REDIRECTS:
            raise NotDelivered(f"it answered {status}: redirects are not followed; write the address it is at now")
        if status not in _OK:
            raise NotDelivered(f"it answered {status}", retry_after_s, is_refusal=status in _REFUSALS)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _post(self, message: Message) -> tuple[int, int | None]:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or (443 if self.tls else 80)
        reader, writer = await self._connect(host, await addresses_of(host, port), port)
        try:
            writer.write(self._request(parts.netloc, parts.path or "/", parts.query, message))
            await writer.drain()
            return await _answer(reader)
        finally:
            # Not waited for: whoever does not end the connection politely would hold us up.
            writer.transport.abort()

    async def _connect(
        self, host: str, addresses: list[str], port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failed: OSError = OSError("it has no address")
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    address, port, ssl=self.tls, server_hostname=host if self.tls else None, limit=_CHUNK
                )
            except OSError as error:
                failed = error
        raise failed

    def _request(self, host: str, path: str, query: str, message: Message) -> bytes:
        body = message.body.encode()
        headers = [
            ("host", host),
            ("user-agent", f"farshore-hub/{__version__}"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
            *signed_headers(self.secret, message.key, self.clock.now_us() // _US_PER_S, body),
        ]
        conversation = h11.Connection(h11.CLIENT)
        request = h11.Request(method="POST", target=f"{path}?{query}" if query else path, headers=headers)
        parts = (conversation.send(each) for each in (request, h11.Data(data=body), h11.EndOfMessage()))
        return b"".join(part for part in parts if part)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """Status and Retry-After; a body is not our business."""
    conversation = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
    conversation.send(h11.Request(method="POST", target="/", headers=[("host", "-"), ("content-length", "0")]))
    conversation.send(h11.EndOfMessage())
    read = 0
    while True:
        event = conversation.next_event()
        if isinstance(event, h11.Response):
            return event.status_code, _retry_after_s(dict(event.headers.raw_items()))
        if event is h11.NEED_DATA:
            chunk = await reader.read(_CHUNK)
            read += len(chunk)
            if not chunk or read > MAX_ANSWER_BYTES:
                raise EOFError
            conversation.receive_data(chunk)


def _retry_after_s(headers: dict[bytes, bytes]) -> int | None:
    for name, value in headers.items():
        if name.lower() == b"retry-after":
            with contextlib.suppress(ValueError):
                return min(max(int(value), 0), MAX_RETRY_AFTER_S)
    return None
