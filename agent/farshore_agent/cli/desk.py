"""Asking the agent, whether it runs or not: over its control socket, or by opening its buffer under its lock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from farshore_agent import control
from farshore_agent.buffer.model import Settled
from farshore_agent.errors import AgentError, ExitCode
from farshore_agent.net.client import Endpoint, HttpClient
from farshore_agent.net.failures import CannotConnect, ClientError
from farshore_agent.net.limits import ClientLimits
from farshore_agent.net.messages import Response
from farshore_protocol.limits import MAX_PARCEL_BYTES, MIB

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings
    from farshore_agent.settings.layers import LocalFile

_LIMITS: Final = ClientLimits(connect_s=5, total_s=120, max_body_bytes=MAX_PARCEL_BYTES + MIB)
_OK: Final = 200


class Told(AgentError):
    """What a running agent has answered; its exit code and status are those of the error there."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", f"HTTP {status}")), remedy=str(problem.get("remedy", "")))
        self.answer_status = status
        self.problem = problem
        self.exit_code = ExitCode(problem.get("exit_code", ExitCode.OURS))  # type: ignore[misc]


class Daemon:
    """A running agent; a `control.Desk`."""

    def __init__(self, socket: Path) -> None:
        self._client = HttpClient(Endpoint(path=socket), limits=_LIMITS)

    async def status(self) -> dict[str, Any]:
        """The status document."""
        found: dict[str, Any] = json.loads(await self._ask("GET", control.STATUS))
        return found

    async def repair(self) -> list[str]:
        """Read and check the whole buffer and repair it; what was found."""
        found: list[str] = json.loads(await self._ask("POST", control.REPAIR))["found"]
        return found

    async def support_bundle(self) -> bytes:
        """What helps to find out what is wrong: a ZIP file."""
        return await self._ask("GET", control.SUPPORT_BUNDLE)

    async def plan_export(self, max_bytes: int) -> list[list[int]]:
        """Which batches go into which file."""
        found: list[list[int]] = json.loads(await self._ask("POST", control.PLAN_EXPORT, {"max_bytes": max_bytes}))
        return found

    async def export(self, batches: Sequence[int]) -> bytes:
        """A parcel with those batches."""
        return await self._ask("POST", control.EXPORT, {"batches": list(batches)})

    async def import_answer(self, raw: bytes) -> Settled:
        """Apply the hub's answer to an exported parcel."""
        return msgspec.json.decode(await self._ask("POST", control.IMPORT_ACK, raw), type=Settled)

    async def resend(self, stream: str | None) -> tuple[int, int]:
        """Send once more what the hub has of a stream, or of all; how many batches and records that is."""
        batches, records = json.loads(await self._ask("POST", control.RESEND, {"stream": stream}))
        return int(batches), int(records)

    async def append(self, stream: str, lines: bytes) -> Response:
        """Hand NDJSON to the door."""
        return await self._request("POST", f"/v1/streams/{stream}", lines, "application/x-ndjson")

    async def close(self) -> None:
        """End the connection."""
        await self._client.close()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | bytes = b"") -> bytes:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self._request(method, path, raw, "application/octet-stream")
        if answer.status != _OK:
            raise Told(answer.status, problem_in(answer))
        return answer.body

    async def _request(self, method: str, path: str, body: bytes, content_type: str) -> Response:
        try:
            return await self._client.request(method, path, body=body, headers={"content-type": content_type})
        except CannotConnect:
            raise
        except ClientError as error:
            raise AgentError(f"the running agent does not answer: {error}", remedy="look into its log") from None


def problem_in(answer: Response) -> dict[str, Any]:
    """The problem document of an answer."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def running(settings: AgentSettings) -> Daemon | None:
    """The running agent of this state folder, if there is one. Close it."""
    socket = settings.state_dir / control.SOCKET
    if not socket.exists():
        return None
    daemon = Daemon(socket)
    try:
        await daemon.status()
    except CannotConnect:
        await daemon.close()
        return None
    return daemon


@asynccontextmanager
async def desk(local: LocalFile) -> AsyncIterator[control.Desk]:
    """The running agent, or one that is opened for this command only."""
    daemon = await running(local.settings)
    if daemon is not None:
        try:
            yield daemon
        finally:
            await daemon.close()
        return
    from farshore_agent.app import Agent

    async with Agent.started(local, forward=False) as agent:
        yield agent
