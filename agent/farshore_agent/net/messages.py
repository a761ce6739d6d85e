"""What an HTTP server is asked and answers; plain values, and the error that becomes a problem document (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Request:
    """One request, received in full.

    Attributes:
        path: percent-decoded.
        query: as it came, without the question mark.
        headers: by lower-case name; of a repeated one the last.
        params: what the route's placeholders stand for.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Its length and the connection's fate are added when it is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """An answer that carries a JSON document."""
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})})

    @classmethod
    def text(cls, value: str, *, content_type: str = "text/plain; charset=utf-8") -> Response:
        """An answer for people or scrapers."""
        return cls(200, value.encode(), {"content-type": content_type})


class HttpError(Exception):
    """A request that is not answered as it wished. The text is for the one who sent it; it holds nothing internal.

    `members` are added to the problem document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = headers or {}
        self.members = members or {}

    def response(self) -> Response:
        """The problem document."""
        document = {"title": self.title, "status": self.status, "detail": self.detail, **self.members}
        return Response.json(
            document, status=self.status, headers={"content-type": "application/problem+json", **self.headers}
        )


def render(response: Response, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """The answer's bytes (RFC 9112)."""
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"content-length: {len(response.body)}")
    lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + (response.body if with_body else b"")
