"""Errors as problem details (RFC 9457): every answer that is not a success has this form, whoever raised it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from farshore_hub.errors import PROBLEM_URN, HubError, Invalid, Malformed, NotReady, SiteRevoked, of_protocol
from farshore_protocol.errors import ProtocolError

PROBLEM_TYPE: Final = "application/problem+json"
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


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make `app`, which has these `routes`, answer every error with a problem."""
    app.add_exception_handler(HubError, _ours)
    app.add_exception_handler(ProtocolError, _protocol)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, partial(_http, routes))
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(Exception, _unexpected)


def faults_of(errors: list[Any]) -> str:
    """What a model says is wrong, in one line."""
    said = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"[:_MAX_FAULT_CHARS] for fault in errors]
    return "; ".join(said[:_MAX_FAULTS])


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HubError)  # noqa: S101 - the table in `install` says so
    if error.status in _SHUT_OUT:
        _log.warning("refused %s from %s: %s", _asked(request), _from(request), error.kind)
    return problem_of(error)


async def _protocol(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProtocolError)  # noqa: S101 - the table in `install` says so
    return await _ours(request, of_protocol(error))


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the table in `install` says so
    return problem_of(Invalid(faults_of(list(error.errors()))))


async def _http(routes: Sequence[BaseRoute], request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the table in `install` says so
    phrase = HTTPStatus(error.status_code).phrase
    kind = PROBLEM_URN + phrase.lower().replace(" ", "-")
    body = {"type": kind, "title": phrase, "status": error.status_code, "detail": str(error.detail)}
    allowed = _methods(routes, request) if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else []
    headers = {"Allow": ", ".join(allowed)} if allowed else error.headers
    return JSONResponse(body, error.status_code, headers, PROBLEM_TYPE)


async def _database(_: Request, error: Exception) -> JSONResponse:
    _log.error("the database refuses: %s", error)
    return problem_of(NotReady("the database does not answer, or has no room", remedy="try again later"))


async def _disconnected(_: Request, _error: Exception) -> JSONResponse:
    return problem_of(Malformed("the connection ended before the body did"))


async def _unexpected(_: Request, _error: Exception) -> JSONResponse:
    return problem_of(HubError("this is a fault of the hub; its log says more", remedy="try again later"))


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """What the path may be asked with; the framework names the methods of the first of its routes only."""
    fitting = (each for each in routes if isinstance(each, Route) and each.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for each in fitting for method in each.methods or ()})


def _asked(request: Request) -> str:
    """Method and route; the path itself may be anything."""
    return f"{request.method} {getattr(request.scope.get('route'), 'path', '(no route)')}"


def _from(request: Request) -> str:
    return request.client.host if request.client else "(unknown)"


def _headers_of(error: HubError) -> Mapping[str, str]:
    if error.retry_after_s is not None:
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, SiteRevoked):
        return _CUT
    return {"WWW-Authenticate": "Bearer", **_CUT} if error.status == HTTPStatus.UNAUTHORIZED else {}
