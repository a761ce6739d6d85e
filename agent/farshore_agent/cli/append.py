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
from farshore_agent.errors import AgentError, ExitCode
from farshore_protocol.names import BadName, check_stream
from farshore_shell.commands import print_error

if TYPE_CHECKING:
    from farshore_agent.app import Agent
    from farshore_agent.net.messages import Response
    from farshore_agent.settings import AgentSettings

PIECE_BYTES: Final = 256 * 1024
"""So that even the shortest lines are not more than one call may carry."""

MAX_LINE_BYTES: Final = 16 * PIECE_BYTES
MAX_SHOWN: Final = 20
_OK: Final = 200
_ALL_REFUSED: Final = 422


@dataclass
class _Tally:
    """What became of the input so far, up to and including the line `lines`.

    Of the `in_doubt` lines after that the agent has not said whether it stored them.
    """

    lines: int = 0
    in_doubt: int = 0
    appended: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0

    def add(self, answer: dict[str, Any], piece: bytes) -> None:
        """The answer for one piece; its line numbers start at 1."""
        room = MAX_SHOWN - len(self.refused)
        self.refused += [{**each, "line": each["line"] + self.lines} for each in answer["refused"][:room]]
        self.appended += answer.get("appended", 0)
        self.refused_count += answer["refused_count"]
        self.lines += _lines(piece)

    def show(self, stream: str, *, as_json: bool, complete: bool) -> None:
        """Print it; where the input was not finished, also how far it came, so that a program can go on there."""
        following = self.lines + 1
        if as_json:
            counts = {"appended": self.appended, "refused": self.refused_count, "in_doubt": self.in_doubt}
            goes_on = {"next_line": None if complete else following}
            print_json({"stream": stream, **counts, **goes_on, "reasons": self.refused})
            return
        click.echo(f"{stream}: {self.appended} stored, {self.refused_count} refused")
        if self.in_doubt:
            click.echo(f"it is not known whether lines {following} to {self.lines + self.in_doubt} were stored")
        elif not complete:
            click.echo(f"line {following} and what follows it were not stored")
        for each in self.refused:
            where = f", field {each['field']}" if each["field"] else ""
            print_error(f"line {each['line']}{where}: {each['why']}")


def _stream_name(_context: click.Context, _parameter: click.Parameter, given: str) -> str:
    try:
        return check_stream(given)
    except BadName as error:
        raise click.BadParameter(str(error)) from None


@click.command("append")
@click.argument("stream", callback=_stream_name)
@options.config
@options.as_json
def command(stream: str, config: Path | None, *, as_json: bool) -> None:
    """Store records from the standard input: NDJSON, one JSON object a line. Returns when they are on disk.

    When it ends early it says which line is next, so that nothing is stored twice: `tail -n +LINE FILE` goes on there.

    \b
    Examples:
      echo '{"ts": "2026-11-23T08:30:00Z", "temperature": 71.5}' | farshore-agent append boiler
      farshore-agent append boiler < records.ndjson

    Exit codes: 0 all stored, 2 no such stream, 6 the buffer is full, 7 some were refused (they are in quarantine).
    """
    import asyncio

    settings = options.open_state(config)
    tally = _Tally()
    try:
        asyncio.run(_append(settings, stream, sys.stdin.buffer, tally))
    except (AgentError, KeyboardInterrupt):
        tally.show(stream, as_json=as_json, complete=False)
        raise
    tally.show(stream, as_json=as_json, complete=True)
    if tally.refused_count:
        raise SystemExit(ExitCode.RECORDS_REFUSED)


async def _append(settings: AgentSettings, stream: str, source: BinaryIO, tally: _Tally) -> None:
    from farshore_agent.cli.desk import running

    daemon = await running(settings)
    if daemon is not None:
        try:
            for piece in pieces(source):
                tally.in_doubt = _lines(piece)
                answer = await daemon.append(stream, piece)
                tally.in_doubt = 0
                tally.add(_counted(answer), piece)
        finally:
            await daemon.close()
        return
    from farshore_agent.app import Agent

    async with Agent.started(settings, forward=False) as agent:
        for piece in pieces(source):
            tally.add(await _directly(agent, stream, piece), piece)


def _counted(answer: Response) -> dict[str, Any]:
    from farshore_agent.cli.desk import Told, problem_in

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


def _lines(piece: bytes) -> int:
    return piece.count(b"\n") + (not piece.endswith(b"\n"))


def pieces(source: BinaryIO) -> Iterator[bytes]:
    """The input in pieces of whole lines, so that its size does not matter; a line without end is cut."""
    rest = b""
    while more := source.read(PIECE_BYTES):
        whole, newline, rest_of_it = (rest + more).rpartition(b"\n")
        if newline:
            yield whole + newline
            rest = rest_of_it
        else:
            rest = rest_of_it
            if len(rest) > MAX_LINE_BYTES:
                yield rest
                rest = b""
    if rest.strip():
        yield rest
