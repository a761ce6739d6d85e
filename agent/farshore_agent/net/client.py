"""An HTTP/1.1 client for one address: one kept connection, a deadline on every wait, a bound on every answer.

A request takes as long as it moves, up to a bound: a slow link is not a dead one. One that finds the kept connection
closed is sent once more on a new one; nothing else is repeated here. Requests are made one after the other. It trusts
whom the TLS context that is handed in trusts.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from farshore_agent.net.addresses import Addresses
from farshore_agent.net.conversation import Conversation
from farshore_agent.net.failures import CannotConnect, ConnectionLost, DeadlinePassed, NotTrusted, reason
from farshore_agent.net.limits import ClientLimits
from farshore_agent.net.messages import Response

_LOOKS: Final = 8
"""How often it is looked whether something moves, within the time that nothing may."""


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


class HttpClient:
    """Asks one server. Close it in any case."""

    def __init__(self, endpoint: Endpoint, *, limits: ClientLimits | None = None) -> None:
        self.endpoint = endpoint
        self._limits = limits or ClientLimits()
        self._connection: Conversation | None = None
        self._addresses = Addresses(self._limits.resolve_s)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        still_s: float | None = None,
        total_s: float | None = None,
    ) -> Response:
        """Send a request and return its answer, whatever its status. Two limits may be others for this one.

        Raises:
            ClientError: there is no answer; its classes say in which way.
        """
        head = _head(method, path, self.endpoint, len(body), headers or {})
        limit_s = self._limits.total_s if total_s is None else total_s
        asking = asyncio.ensure_future(self._conversation(head, body))
        try:
            async with asyncio.timeout(limit_s):
                await self._while_it_moves(asking, min(limit_s, self._limits.still_s if still_s is None else still_s))
            return asking.result()
        except TimeoutError:
            raise DeadlinePassed(f"{self.endpoint} did not answer within {limit_s:g} s") from None
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.wait((asking,))
                await self.close()

    async def close(self) -> None:
        """End the kept connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def _while_it_moves(self, asking: asyncio.Future[Response], still_s: float) -> None:
        """Return when it is over, or raise when nothing has moved for so long."""
        before, looks = self._progress(), 0
        while not (await asyncio.wait((asking,), timeout=still_s / _LOOKS))[0]:
            now = self._progress()
            before, looks = now, looks + 1 if now == before else 0
            if looks >= _LOOKS:
                raise DeadlinePassed(f"nothing has moved between here and {self.endpoint} for {still_s:g} s")

    def _progress(self) -> tuple[int, int] | None:
        return self._connection.progress if self._connection else None

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

    async def _connect(self) -> Conversation:
        await self.close()
        try:
            async with asyncio.timeout(self._limits.connect_s):
                return await self._open()
        except TimeoutError:
            raise CannotConnect(f"{self.endpoint} did not accept within {self._limits.connect_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NotTrusted(f"{self.endpoint} shows a certificate that is not trusted: {reason(error)}") from None
        except OSError as error:
            raise CannotConnect(f"{self.endpoint} cannot be reached: {reason(error)}") from None

    async def _open(self) -> Conversation:
        loop, at = asyncio.get_running_loop(), self.endpoint
        if at.path is not None:
            return (await loop.create_unix_connection(self._new, str(at.path)))[1]
        name = at.tls_name if at.tls else None
        error: OSError = OSError("the name has no address")
        addresses = await self._addresses.of(at.host, at.port)
        for address in addresses:
            try:
                async with asyncio.timeout(self._limits.connect_s / len(addresses)):
                    _, connection = await loop.create_connection(
                        self._new, address, at.port, ssl=at.tls, server_hostname=name
                    )
            except ssl.SSLError:
                raise
            except OSError as failed:
                error = failed
            else:
                self._addresses.good(address)
                return connection
        raise error

    def _new(self) -> Conversation:
        return Conversation(str(self.endpoint), self._limits)


def _head(method: str, path: str, at: Endpoint, length: int, headers: Mapping[str, str]) -> bytes:
    host = "localhost" if at.path else f"[{at.host}]" if ":" in at.host else at.host
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}:{at.port}" if at.port else f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"content-length: {length}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")
