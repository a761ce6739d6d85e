"""Errors as problem details (RFC 9457): every answer that is not a success has this form, whoever raised it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from farshore_hub.errors import HubError, Malformed, NotReady, SiteRevoked, of_protocol
from farshore_protocol.errors import ProtocolError

PROBLEM_TYPE: Final = "application/problem+json"
Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]
_log = logging.getLogger(__name__)
_CUT: Final = {"Connection": "close"}
"""Whoever is not known, or not any more, does not keep a connection."""

_SHUT_OUT: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""What the log tells of everybody who is refused for who they are, or are not."""

_MAX_FAULTS: Final = 10
_MAX_FAULT_CHARS: Final = 200


class Problem(BaseModel):
    """What is wrong, whose fault it is, and what to do."""

    type: str = Field(description="names the kind of problem: urn:farshore:problem:KIND")
    title: str
    status: int
    detail: str
    remedy: str | None = Field(default=None, description="what to do about it")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of problems with these statuses; our own faults are always possible."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in (*statuses, 500, 503)}


def success(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an answer that is not JSON."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return {200: {"description": description, "content": content}}


def problem_of(error: HubError) -> JSONResponse:
    """The answer for one error."""
    body = {"type": error.problem_type, "title": error.title, "status": error.status, "detail": error.detail}
    if error.remedy:
        body["remedy"] = error.remedy
    return JSONResponse(body, error.status, _headers_of(error), PROBLEM_TYPE)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """The answer for any error; one that nobody expected is told to the log."""
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    if handler is _unexpected:
        _log.error("%s met a fault of the hub", _asked(request), exc_info=error)
    return await handler(request, error)


def faults_of(errors: list[Any]) -> str:
    """What a model says is wrong, in one line."""
    said = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"[:_MAX_FAULT_CHARS] for fault in errors]
    return "; ".join(said[:_MAX_FAULTS])


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HubError)  # noqa: S101 - the table of handlers says so
    if error.status in _SHUT_OUT:
        _log.warning("refused %s from %s: %s", _asked(request), _from(request), error.kind)
    return problem_of(error)


async def _protocol(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProtocolError)  # noqa: S101 - the table of handlers says so
    return await _ours(request, of_protocol(error))


async def _database(_: Request, error: Exception) -> JSONResponse:
    _log.error("the database refuses: %s", error)
    return problem_of(NotReady("the database does not answer, or has no room", remedy="try again later"))


async def _disconnected(_: Request, _error: Exception) -> JSONResponse:
    return problem_of(Malformed("the connection ended before the body did"))


async def _unexpected(_: Request, _error: Exception) -> JSONResponse:
    return problem_of(HubError("this is a fault of the hub; its log says more", remedy="try again later"))


def _asked(request: Request) -> str:
    """Method and route; the path itself may be anything."""
    return f"{request.method} {getattr(request.scope.get('route'), 'path', '(no route)')}"


def _from(request: Request) -> str:
    return request.client.host if request.client else "(unknown)"


HANDLERS: Final[dict[type[BaseException], Handler]] = {
    HubError: _ours,
    ProtocolError: _protocol,
    OperationalError: _database,
    ClientDisconnect: _disconnected,
    Exception: _unexpected,
}
"""By kind of error; `web.api` has two more for what its framework raises."""


def _headers_of(error: HubError) -> Mapping[str, str]:
    if error.retry_after_s is not None:
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, SiteRevoked):
        return _CUT
    return {"WWW-Authenticate": "Bearer", **_CUT} if error.status == HTTPStatus.UNAUTHORIZED else {}
