"""What the commands ask a running agent, over its unix socket; only the agent's own user can open it.

The same things can be done without a running agent by opening its buffer, so both sides offer the methods of `Desk`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from farshore_agent.buffer import Settled
from farshore_agent.errors import AgentError, ExitCode
from farshore_agent.net.messages import HttpError, Request, Response
from farshore_agent.net.routes import Route, Routes
from farshore_protocol.errors import ProtocolError

SOCKET: Final = "agent.sock"
STATUS: Final = "/v1/control/status"
FLUSH: Final = "/v1/control/flush"
PLAN_EXPORT: Final = "/v1/control/export-plan"
EXPORT: Final = "/v1/control/export"
IMPORT_ACK: Final = "/v1/control/import-ack"
RESEND: Final = "/v1/control/resend"
SUPPORT_BUNDLE: Final = "/v1/control/support-bundle"
REPAIR: Final = "/v1/control/repair"

M = TypeVar("M", bound=msgspec.Struct)
T = TypeVar("T")


class Desk(Protocol):
    """What can be asked of an agent."""

    async def status(self) -> dict[str, Any]:
        """The status document."""
        ...

    async def repair(self) -> list[str]:
        """Read and check the whole buffer and repair it; what was found."""
        ...

    async def support_bundle(self) -> bytes:
        """What helps to find out what is wrong: a ZIP file, without secrets."""
        ...

    async def plan_export(self, max_bytes: int) -> list[list[int]]:
        """Which batches go into which file."""
        ...

    async def export(self, batches: Sequence[int]) -> bytes:
        """A parcel with those batches, as far as they still wait."""
        ...

    async def import_answer(self, raw: bytes) -> Settled:
        """Apply the hub's answer to an exported parcel."""
        ...

    async def resend(self, stream: str | None) -> tuple[int, int]:
        """Send once more what the hub has of a stream, or of all; how many batches and records that is."""
        ...


class _ResendRequest(msgspec.Struct):
    stream: str | None = None


class _PlanRequest(msgspec.Struct):
    max_bytes: int


class _ExportRequest(msgspec.Struct):
    batches: list[int]


class _FlushRequest(msgspec.Struct):
    timeout_s: float = 60


def control_routes(desk: Desk, flush: Callable[[float], Awaitable[None]]) -> tuple[Route, ...]:
    """The routes that the socket has besides the door's."""
    handlers = _Handlers(desk, flush)
    return (
        Route("GET", STATUS, handlers.status),
        Route("POST", FLUSH, handlers.flush),
        Route("POST", REPAIR, handlers.repair),
        Route("GET", SUPPORT_BUNDLE, handlers.support_bundle),
        Route("POST", PLAN_EXPORT, handlers.plan_export),
        Route("POST", EXPORT, handlers.export),
        Route("POST", IMPORT_ACK, handlers.import_ack),
        Route("POST", RESEND, handlers.resend),
    )


def with_control(door: Routes, desk: Desk, flush: Callable[[float], Awaitable[None]]) -> Routes:
    """The door's routes and those for the commands."""
    return door.plus(*control_routes(desk, flush))


class _Handlers:
    def __init__(self, desk: Desk, flush: Callable[[float], Awaitable[None]]) -> None:
        self._desk = desk
        self._flush = flush

    async def status(self, _request: Request) -> Response:
        return Response.json(await self._desk.status())

    async def repair(self, _request: Request) -> Response:
        return Response.json({"found": await _told(self._desk.repair())})

    async def flush(self, request: Request) -> Response:
        wanted = _read(request, _FlushRequest)
        try:
            await self._flush(wanted.timeout_s)
        except TimeoutError:
            raise HttpError(504, f"not everything was delivered within {wanted.timeout_s:g} s") from None
        return Response.json({"flushed": True})

    async def support_bundle(self, _request: Request) -> Response:
        return Response(200, await _told(self._desk.support_bundle()), {"content-type": "application/zip"})

    async def plan_export(self, request: Request) -> Response:
        return Response.json(await _told(self._desk.plan_export(_read(request, _PlanRequest).max_bytes)))

    async def export(self, request: Request) -> Response:
        parcel = await _told(self._desk.export(_read(request, _ExportRequest).batches))
        return Response(200, parcel, {"content-type": "application/octet-stream"})

    async def import_ack(self, request: Request) -> Response:
        try:
            settled = await _told(self._desk.import_answer(request.body))
        except ProtocolError as error:
            members = {"remedy": "check where the file comes from", "exit_code": int(ExitCode.HUB)}
            raise HttpError(422, str(error), title="the answer cannot be used", members=members) from None
        return Response(200, msgspec.json.encode(settled), {"content-type": "application/json"})

    async def resend(self, request: Request) -> Response:
        return Response.json(await _told(self._desk.resend(_read(request, _ResendRequest).stream)))


async def _told(work: Awaitable[T]) -> T:
    """The agent's own errors, as its peer is told of them."""
    try:
        return await work
    except AgentError as error:
        members = {"remedy": error.remedy, "exit_code": int(error.exit_code)}
        raise HttpError(error.status, str(error), title=error.title, members=members) from error


def _read(request: Request, kind: type[M]) -> M:
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise HttpError(400, str(error)) from None
