"""`farshore-agent append`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_agent.errors import ExitCode
from farshore_shell.commands import print_error

if TYPE_CHECKING:
    from farshore_agent.app import Agent
    from farshore_agent.cli.desk import Daemon
    from farshore_agent.settings import AgentSettings

PIECE_BYTES: Final = 256 * 1024
"""So that even the shortest lines are not more than one call may carry."""

MAX_LINE_BYTES: Final = 16 * PIECE_BYTES
MAX_SHOWN: Final = 20
_OK: Final = 200
_ALL_REFUSED: Final = 422


@dataclass
class _Tally:
    """What became of the records so far."""

    appended: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0
    lines: int = 0

    def add(self, answer: dict[str, Any], lines: int) -> None:
        """One piece; its line numbers start at 1."""
        for each in answer["refused"]:
            self.refused.append({**each, "line": each["line"] + self.lines})
        self.appended += answer.get("appended", 0)
        self.refused_count += answer["refused_count"]
        self.lines += lines


@click.command("append")
@click.argument("stream")
@options.config
@options.as_json
def command(stream: str, config: Path | None, *, as_json: bool) -> None:
    """Store records from the standard input: NDJSON, one JSON object a line. Returns when they are on disk.

    \b
    Examples:
      echo '{"ts": "2026-11-23T08:30:00Z", "temperature": 71.5}' | farshore-agent append boiler
      farshore-agent append boiler < records.ndjson

    Exit codes: 0 all stored, 2 no such stream, 6 the buffer is full, 7 some were refused (they are in quarantine).
    """
    import asyncio

    source = sys.stdin.buffer
    tally = asyncio.run(_append(options.load_settings(config), stream, source))
    shown = tally.refused[:MAX_SHOWN]
    if as_json:
        print_json({"stream": stream, "appended": tally.appended, "refused": tally.refused_count, "reasons": shown})
    else:
        click.echo(f"{stream}: {tally.appended} stored, {tally.refused_count} refused")
        for each in shown:
            where = f", field {each['field']}" if each["field"] else ""
            print_error(f"line {each['line']}{where}: {each['why']}")
    if tally.refused_count:
        raise SystemExit(ExitCode.RECORDS_REFUSED)


async def _append(settings: AgentSettings, stream: str, source: BinaryIO) -> _Tally:
    from farshore_agent.cli.desk import running

    tally = _Tally()
    daemon = await running(settings)
    if daemon is not None:
        try:
            for piece in pieces(source):
                tally.add(await _over_socket(daemon, stream, piece), piece.count(b"\n"))
        finally:
            await daemon.close()
        return tally
    from farshore_agent.app import Agent

    async with Agent.started(settings, forward=False) as agent:
        for piece in pieces(source):
            tally.add(await _directly(agent, stream, piece), piece.count(b"\n"))
    return tally


async def _over_socket(daemon: Daemon, stream: str, piece: bytes) -> dict[str, Any]:
    from farshore_agent.cli.desk import Told, problem_in

    answer = await daemon.append(stream, piece)
    if answer.status == _OK:
        stored: dict[str, Any] = json.loads(answer.body)
        return stored
    problem = problem_in(answer)
    if answer.status == _ALL_REFUSED and "refused" in problem:
        return problem
    raise Told(answer.status, {"exit_code": _EXIT_CODES.get(answer.status, ExitCode.OURS), **problem})


_EXIT_CODES: Final = {404: ExitCode.USAGE, 507: ExitCode.BUFFER_FULL}


async def _directly(agent: Agent, stream: str, piece: bytes) -> dict[str, Any]:
    from farshore_agent.collect.texts import admit_ndjson

    context = agent.context()
    policy = context.policies.admitting(stream)
    admitted = admit_ndjson(piece, policy, context.clock.now_us())
    if admitted.records or admitted.refused:
        await context.append(stream, admitted)
    refused = [{"line": one.line, "field": one.field, "why": one.why} for one in admitted.refused]
    return {"appended": len(admitted.records), "refused": refused, "refused_count": len(refused)}


def pieces(source: BinaryIO) -> Iterator[bytes]:
    """The input in pieces of whole lines, so that its size does not matter; a line without end is cut."""
    rest = b""
    while more := source.read(PIECE_BYTES):
        whole, newline, rest_of_it = (rest + more).rpartition(b"\n")
        if newline:
            if whole.strip():
                yield whole + newline
            rest = rest_of_it
        else:
            rest = rest_of_it
            if len(rest) > MAX_LINE_BYTES:
                yield rest
                rest = b""
    if rest.strip():
        yield rest
