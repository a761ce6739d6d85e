"""The HTTP door: `POST /v1/streams/{stream}`, answered when the records are on disk; `/healthz` and `/metrics` too.

It has no sign-in, so it listens on this machine only, and does not take what a web page sends from a browser.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Final

from farshore_agent.buffer.model import Admitted, Appended
from farshore_agent.collect.admit import TooMuch
from farshore_agent.collect.input import FULL_PAUSE_S, InputContext
from farshore_agent.collect.texts import admit_json, admit_ndjson
from farshore_agent.errors import AgentError, ExitCode
from farshore_agent.net.inflate import inflate
from farshore_agent.net.limits import ServerLimits
from farshore_agent.net.messages import HttpError, Request, Response
from farshore_agent.net.routes import Route, Routes
from farshore_agent.net.server import Server
from farshore_agent.settings.inputs import InputSettings
from farshore_agent.settings.kinds import Text, Word
from farshore_agent.settings.streams import StreamPolicy
from farshore_agent.settings.table import setting
from farshore_agent.settings.units import KIB, MIB, size

MAX_REFUSALS_SHOWN: Final = 1000
"""An answer names so many; all of them are in quarantine."""

MAX_PORT: Final = 65_535

_JSON: Final = frozenset({"application/json"})
_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain"})
_UNSAID: Final = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})
"""What programs say that were not told what they send (the last is curl's): the body tells, no record is an array."""

_UNIX: Final = "unix:"


class NoListener(AgentError):
    """The address of a door cannot be used."""

    exit_code = ExitCode.CONFIGURATION
    title = "the door cannot listen"


def _check_listen(text: str) -> None:
    if text.startswith(_UNIX) and text.removeprefix(_UNIX).startswith("/"):
        return
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > MAX_PORT:
        raise ValueError(f"{text!r} is not an address such as '127.0.0.1:8080', nor 'unix:/run/farshore.sock'")
    if not _is_loopback(host.strip("[]")):
        raise ValueError(f"{host!r} is not on this machine: the door has no sign-in, listen on 127.0.0.1")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class HttpSettings(InputSettings):
    """`[inputs.NAME]` with `type = "http"`."""

    type: str = setting(Word.of("http"))
    listen: str = setting(Text(check=_check_listen))
    max_body_bytes: int = setting(size(KIB, 256 * MIB), default=32 * MIB)

    def claims(self) -> tuple[str, ...]:
        """The address."""
        return () if self.listen.endswith(":0") else (f"the address {self.listen}",)


class HttpInput:
    """Serves the door until it is cancelled; then answers what has begun."""

    Settings: ClassVar[type[HttpSettings]] = HttpSettings

    def __init__(self, name: str, settings: HttpSettings, context: InputContext) -> None:
        self.name = name
        self.port: int | None = None
        self.listening = asyncio.Event()
        self._listen = settings.listen
        self._opened = context.opened
        limits = ServerLimits(max_body_bytes=settings.max_body_bytes, max_held_bytes=2 * settings.max_body_bytes)
        routes = door(context, max_body_bytes=settings.max_body_bytes)
        self._server = Server(routes, clock=context.clock, limits=limits)

    async def run(self) -> None:
        """Listen and serve.

        Raises:
            NoListener: the address is taken, or not this machine's.
        """
        try:
            self._opened(f"the address {await self._open()}")
            self.listening.set()
            await asyncio.Event().wait()
        except OSError as error:
            remedy = "stop the other program, or choose another address"
            raise NoListener(f"inputs.{self.name}.listen: {self._listen}: {error}", remedy=remedy) from None
        finally:
            await self._server.stop()

    async def _open(self) -> str:
        """Listen; the address, with the port that was taken where any would do."""
        if self._listen.startswith(_UNIX):
            await self._server.listen_unix(Path(self._listen.removeprefix(_UNIX)))
            return self._listen
        host, _, port = self._listen.rpartition(":")
        self.port = await self._server.listen_tcp(host.strip("[]"), int(port))
        return f"{host}:{self.port}"


def door(context: InputContext, *, max_body_bytes: int = 32 * MIB) -> Routes:
    """The routes of the door, for a server on any socket."""
    handlers = _Door(context, max_body_bytes)
    return Routes(
        Route("POST", "/v1/streams/{stream}", handlers.append),
        Route("GET", "/healthz", handlers.health),
        Route("GET", "/metrics", handlers.metrics),
    )


@dataclass(frozen=True, slots=True)
class _Door:
    context: InputContext
    max_body_bytes: int

    async def append(self, request: Request) -> Response:
        """Admit and store the records of a body."""
        if "origin" in request.headers:
            raise HttpError(403, "a browser sent this for a web page: only programs of this machine may append")
        try:
            policy = self.context.policies.admitting(request.params["stream"])
            admitted = self._admitted(request, policy)
            appended = await self.context.append(policy.name, admitted)
        except AgentError as error:
            raise problem_of(error) from error
        if not admitted.records:
            raise _all_refused(policy.name, admitted)
        return Response.json(_answer(policy.name, admitted, appended))

    async def health(self, _request: Request) -> Response:
        """The door is open."""
        return Response.json({"status": "ok"})

    async def metrics(self, _request: Request) -> Response:
        """For Prometheus."""
        return Response.text(await self.context.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    def _admitted(self, request: Request, policy: StreamPolicy) -> Admitted:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _JSON | _NDJSON | _UNSAID:
            raise HttpError(415, f"{kind[:80]!r} is not taken: send application/x-ndjson or application/json")
        encoding = request.headers.get("content-encoding", "")
        body = inflate(request.body, encoding, max_bytes=self.max_body_bytes)
        is_json = kind in _JSON or (kind in _UNSAID and body.lstrip()[:1] == b"[")
        try:
            admitted = (admit_json if is_json else admit_ndjson)(body, policy, self.context.clock.now_us())
        except TooMuch as error:
            raise HttpError(413, str(error)) from None
        if not admitted.records and not admitted.refused:
            raise HttpError(400, "there are no records in the body")
        return admitted


def problem_of(error: AgentError) -> HttpError:
    """What an HTTP client is told of an error of the agent's."""
    passes = error.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE}
    headers = {"retry-after": f"{FULL_PAUSE_S:.0f}"} if passes else {}
    detail = f"{error} ({error.remedy})" if error.remedy else str(error)
    return HttpError(error.status, detail, title=error.title, headers=headers)


def _answer(stream: str, admitted: Admitted, appended: Appended) -> dict[str, object]:
    return {
        "stream": stream,
        "appended": len(admitted.records),
        "first": appended.first,
        "last": appended.last,
        "incarnation": appended.incarnation.hex(),
        **_refusals(admitted),
    }


def _all_refused(stream: str, admitted: Admitted) -> HttpError:
    detail = f"not one of {len(admitted.refused)} records was taken; they are kept in {stream}.quarantine"
    return HttpError(422, detail, title="every record was refused", members={"stream": stream, **_refusals(admitted)})


def _refusals(admitted: Admitted) -> dict[str, object]:
    """What a producer is told of them: not the text, which it has."""
    shown = admitted.refused[:MAX_REFUSALS_SHOWN]
    refused = [{"line": one.line, "field": one.field, "why": one.why} for one in shown]
    return {"refused": refused, "refused_count": len(admitted.refused)}
