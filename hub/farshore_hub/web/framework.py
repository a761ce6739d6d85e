"""What FastAPI raises by itself, answered with problems like everything else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Route

from farshore_hub.errors import PROBLEM_URN, Invalid
from farshore_hub.web.problems import HANDLERS, PROBLEM_TYPE, faults_of, problem_of


def answer_with_problems(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make `app`, which has these `routes`, answer every error with a problem."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]  # Starlette's class for both kinds of error
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, partial(_http, routes))


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the table of handlers says so
    return problem_of(Invalid(faults_of(list(error.errors()))))


async def _http(routes: Sequence[BaseRoute], request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the table of handlers says so
    phrase = HTTPStatus(error.status_code).phrase
    kind = PROBLEM_URN + phrase.lower().replace(" ", "-")
    body = {"type": kind, "title": phrase, "status": error.status_code, "detail": str(error.detail)}
    allowed = _methods(routes, request) if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else []
    headers = {"Allow": ", ".join(allowed)} if allowed else error.headers
    return JSONResponse(body, error.status_code, headers, PROBLEM_TYPE)


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """What the path may be asked with; the framework names the methods of the first of its routes only."""
    fitting = (each for each in routes if isinstance(each, Route) and each.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for each in fitting for method in each.methods or ()})
