"""Asking the hub over HTTPS: questions go to whichever of its addresses answers; a failure becomes a `LinkError`.

This is the seam: `net` knows no hub, and everything above knows no HTTP.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from farshore_agent.errors import LinkError
from farshore_agent.forward.link import HubProblem, LinkBusy, LinkDown, LinkRefused
from farshore_agent.net.client import Endpoint, HttpClient
from farshore_agent.net.failures import BadAnswer, ClientError, DeadlinePassed, NotTrusted
from farshore_agent.net.limits import ClientLimits
from farshore_agent.net.messages import Response
from farshore_protocol.limits import MAX_ANSWER_BYTES, MAX_TEXT_CHARS, SLOWEST_BYTES_S
from farshore_protocol.ports import Clock
from farshore_shell.texts import printable

HUB_NAME: Final = "farshore-hub"
"""Stands in every hub certificate. The agent trusts one CA only, and that signs this name for nobody but its hub."""

DEFAULT_PORT: Final = 443
_OK: Final = 200
_ERRORS: Final = 400
_BUSY: Final = (429, 503)
_GATEWAY: Final = (408, 502, 504)
_US_PER_S: Final = 1_000_000
_TIMEOUT_S: Final = 60.0
_LIMITS: Final = ClientLimits(max_body_bytes=MAX_ANSWER_BYTES)
_PORTAL: Final = "check what lies between the site and the hub, such as a proxy or a portal that wants a sign-in"


def endpoint(address: str, tls: ssl.SSLContext) -> Endpoint:
    """Where `https://HOST:PORT` or `HOST:PORT` is.

    Raises:
        LinkError: it is not such an address.
    """
    parts = urlsplit(address if "://" in address else f"https://{address}")
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if parts.scheme != "https" or not host:
        raise LinkError(
            f"{address[:80]!r} is not an address of a hub", remedy="it has the form https://HOST:PORT; sites need TLS"
        )
    return Endpoint(host, port, tls=tls, tls_name=HUB_NAME)


class HubDoor(Protocol):
    """Where one hub is asked. One question at a time; close it in any case."""

    @property
    def address(self) -> str:
        """The address that is asked now, for people."""
        ...

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """The body of a good answer. `timeout_s` is how long nothing may move.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say.
        """
        ...

    async def ask_any(self, method: str, path: str, body: bytes = b"", *, content_type: str = "") -> bytes:
        """Like `ask`, but tries every address before it gives up.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say; of the last address.
        """
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


class HubHttp:
    """The `HubDoor` over HTTP, to a hub that may have several addresses."""

    def __init__(self, addresses: Sequence[str], tls: ssl.SSLContext, clock: Clock) -> None:
        self._clients = [HttpClient(endpoint(each, tls), limits=_LIMITS) for each in addresses]
        self._clock = clock
        self._at = 0

    @property
    def address(self) -> str:
        """The address that is asked now."""
        return str(self._clients[self._at].endpoint)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """The body of a good answer. `timeout_s` is how long nothing may move.

        After a failure the next question goes to the next address.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say.
        """
        client = self._clients[self._at]
        all_headers = {"content-type": content_type} if content_type else {}
        all_headers |= headers or {}
        still_s = timeout_s or _TIMEOUT_S
        total_s = still_s + len(body) / SLOWEST_BYTES_S
        try:
            answer = await client.request(
                method, path, body=body, headers=all_headers, still_s=still_s, total_s=total_s
            )
        except ClientError as error:
            self._at = (self._at + 1) % len(self._clients)
            raise _down(error) from None
        if answer.status == _OK and not _is_foreign(answer):
            return answer.body
        raise refusal(answer, self._clock.now_us())

    async def ask_any(self, method: str, path: str, body: bytes = b"", *, content_type: str = "") -> bytes:
        """Like `ask`, but tries every address before it gives up.

        Raises:
            LinkDown, LinkBusy, LinkRefused: as their texts say; of the last address.
        """
        for _ in self._clients[1:]:
            try:
                return await self.ask(method, path, body, content_type=content_type)
            except LinkDown:
                continue
        return await self.ask(method, path, body, content_type=content_type)

    async def close(self) -> None:
        """End the connections."""
        for client in self._clients:
            await client.close()


def _down(error: ClientError) -> LinkDown:
    if isinstance(error, NotTrusted):
        remedy = "check that the address is your hub's; if the hub was set up anew, enrol again with a new token"
    elif isinstance(error, BadAnswer):
        remedy = "check what answers at this address: it is not a Farshore hub"
    else:
        remedy = "check the network and that the hub is running; the agent goes on trying"
    timed_out, untrusted = isinstance(error, DeadlinePassed), isinstance(error, NotTrusted)
    return LinkDown(str(error), timed_out=timed_out, untrusted=untrusted, remedy=remedy)


def refusal(answer: Response, now_us: int) -> LinkError:
    """What an answer that is not a good one means for the link."""
    if answer.status < _ERRORS:
        kind = answer.headers.get("content-type", "no type")[:MAX_TEXT_CHARS]
        return LinkDown(f"something else than the hub answers: HTTP {answer.status}, {kind}", remedy=_PORTAL)
    problem = read_problem(answer)
    said = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
    if answer.status in _BUSY:
        return LinkBusy(said, retry_after_s=read_retry_after(answer.headers.get("retry-after", ""), now_us))
    if answer.status in _GATEWAY:
        return LinkDown(f"{said} (HTTP {answer.status})", timed_out=answer.status in {408, 504})
    return LinkRefused(problem)


def _is_foreign(answer: Response) -> bool:
    """Whether a page for people came where the hub sends none."""
    return answer.headers.get("content-type", "").startswith("text/")


def read_problem(answer: Response) -> HubProblem:
    """The problem document of an answer; what is missing in it is made up from the status."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    told = document if isinstance(document, dict) else {}

    def text(key: str) -> str:
        value = told.get(key)
        return printable(value[:MAX_TEXT_CHARS]) if isinstance(value, str) else ""

    kind = text("type").rpartition(":")[2] or "unknown"
    return HubProblem(answer.status, kind, text("title") or f"HTTP {answer.status}", text("detail"), text("remedy"))


def read_retry_after(value: str, now_us: int) -> float | None:
    """Seconds of a Retry-After header (RFC 9110): a number or a date; None when it is neither."""
    if value.isdecimal():
        return float(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - two megabytes that hardly any hub asks for

    try:
        at = parsedate_to_datetime(value)
        return max(0.0, at.timestamp() - now_us / _US_PER_S)
    except (ValueError, OverflowError):
        return None
