"""`farshore-agent status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json, shown_bytes, shown_span, shown_time, table

if TYPE_CHECKING:
    from farshore_agent.settings import AgentSettings

_US_PER_S = 1_000_000
_MAX_ASIDE_SHOWN = 5


@click.command("status")
@options.config
@options.as_json
def command(config: Path | None, *, as_json: bool) -> None:
    """Show what is here, what is delivered and how the link stands; with the agent running or not.

    \b
    Examples:
      farshore-agent status
      farshore-agent status --json | jq .buffer.pending

    Exit codes: 0 shown, 1 the buffer cannot be read, 3 the settings are not valid.
    """
    import asyncio

    found = asyncio.run(_find(options.open_state(config)))
    if as_json:
        print_json(found)
    else:
        for line in (*_head(found), "", *_streams(found)):
            click.echo(line)


async def _find(settings: AgentSettings) -> dict[str, Any]:
    from farshore_agent.cli.desk import running

    daemon = await running(settings)
    if daemon is None:
        return _at_rest(settings)
    try:
        return await daemon.status()
    finally:
        await daemon.close()


def _at_rest(settings: AgentSettings) -> dict[str, Any]:
    """The buffer as it lies there, and the last that a running agent has said of its link."""
    from farshore_agent import status
    from farshore_agent.app import BUFFER, IDENTITY
    from farshore_agent.buffer import BufferStatus, read_status
    from farshore_agent.errors import AgentError
    from farshore_agent.identity.identity import Identity
    from farshore_shell.system import SystemClock

    path, max_bytes = settings.state_dir / BUFFER, settings.buffer.max_bytes
    empty = BufferStatus(b"", [], 0, 0, max_bytes, 0, 0, 0, [])
    last = status.read(settings.state_dir) or {}
    try:
        identity = status.identity_document(Identity.load(settings.state_dir / IDENTITY))
    except AgentError as error:
        identity = status.identity_document(None, str(error))
    return {
        "running": False,
        "at_us": SystemClock().now_us(),
        "last_seen_us": last.get("at_us"),
        "identity": identity,
        "link": last.get("link"),
        "orders": last.get("orders"),
        "buffer": status.buffer_document(read_status(path, max_bytes=max_bytes) if path.exists() else empty),
    }


def _head(found: dict[str, Any]) -> list[str]:
    identity, buffer = found["identity"], found["buffer"]
    if found["running"]:
        lines = [f"agent    running, process {found['pid']}, version {found['version']}"]
    else:
        lines = [f"agent    not running; last seen {shown_time(found['last_seen_us'])}"]
    lines += [f"site     {identity['site'] if identity['enrolled'] else 'not enrolled'}"]
    if identity["problem"]:
        lines.append(f"         {identity['problem']}")
    if identity["enrolled"]:
        lines.append(f"         certificate until {shown_time(identity['certificate_ends_us'])}")
    lines += [*_link(found), *_orders(found)]
    lines.append(
        f"buffer   {shown_bytes(buffer['used_bytes'])} of {shown_bytes(buffer['max_bytes'])}, "
        f"{buffer['pending']} record(s) pending, {shown_bytes(buffer['retained_bytes'])} kept though delivered"
    )
    lines += [f"repair   {each}" for each in buffer["repairs"]]
    lines += [f"aside    {each}" for each in buffer.get("set_aside", [])]
    if buffer["repairs"] or buffer.get("set_aside") or identity["problem"]:
        lines.append("         what to do: farshore-agent doctor says what it means")
    lines += [f"door     {each}" for each in found.get("doors", [])]
    for each in found.get("tables", []):
        lines.append(f"table    {each['table']}: {each['changes']} change(s) told; {each['database']}")
        if each["complaint"]:
            lines.append(f"         {each['complaint']}")
        lines += _followed(each.get("followed") or {})
    return lines


def _followed(told: dict[str, Any]) -> list[str]:
    """What comes down into a table, and what is in its way."""
    if not told:
        return []
    now = ", the whole table is being read" if told["reading"] else ""
    held = f", {told['held']} held until the site's own changes are merged" if told["held"] else ""
    lines = [f"         from the hub: {told['written']} row(s) written, {told['waiting']} waiting{held}{now}"]
    lines += [f"         set aside: {count} row(s): {why}" for why, count in told["set_aside"].items()]
    if told["missing"]:
        lines.append(f"         not here, and left out: {', '.join(told['missing'])}")
    if told["left_out"]:
        lines.append(f"         {told['left_out']} row(s) are too large to come")
    return lines


def _link(found: dict[str, Any]) -> list[str]:
    link = found["link"]
    if not link:
        return ["link     never used"]
    when = "" if found["running"] else ", when the agent last ran"
    lines = [f"link     {'up' if link['up'] else 'down'} ({link['state']}){when}; {link['address'] or 'no address'}"]
    if link["last_error"]:
        lines.append(f"         {link['last_error']}")
    if link["last_remedy"]:
        lines.append(f"         what to do: {link['last_remedy']}")
    if found["running"] and link["doing"]:
        lines.append(f"         {link['doing']}")
    if link["last_answer_us"]:
        lines.append(f"         last answer {shown_time(link['last_answer_us'])}, {_offset(link)}")
    refused = ", ".join(f"{count} {reason}" for reason, count in link["refusals"].items())
    if refused:
        lines.append(f"         refused by the hub: {refused}")
    for each in link.get("set_aside", [])[:_MAX_ASIDE_SHOWN]:
        again = f"tried {each['tries']} time(s), again in {shown_span(each['again_in_s'])}"
        lines.append(f"         the hub fails at batch {each['batch']}: {each['why']}; {again}")
    return lines


def _offset(link: dict[str, Any]) -> str:
    offset_us, error_us = link["clock_offset_us"], link["clock_offset_error_us"]
    if offset_us is None or abs(offset_us) <= error_us:
        return "clock as the hub's"
    return f"this clock is {shown_span(abs(offset_us) / _US_PER_S)} {'behind' if offset_us > 0 else 'ahead'}"


def _streams(found: dict[str, Any]) -> list[str]:
    streams = found["buffer"]["streams"]
    if not streams:
        return ["no records yet"]
    columns = ("stream", "priority", "appended", "pending", "oldest", "batches", "waiting", "held back", "given up")
    return table(columns, [_row(each, found["at_us"]) for each in streams]).splitlines()


def _row(stream: dict[str, Any], now_us: int) -> tuple[str, ...]:
    oldest_us = stream["oldest_us"]
    given_up = ", ".join(f"{count} {reason}" for reason, count in stream["receipted"].items())
    return (
        stream["name"],
        str(stream["priority"]),
        str(stream["appended"]),
        str(stream["pending"]),
        "-" if oldest_us is None else shown_span(max(0, now_us - oldest_us) / _US_PER_S),
        str(stream["waiting_batches"]),
        shown_bytes(stream["waiting_bytes"]),
        str(stream["held_back"]),
        given_up or "-",
    )


def _orders(found: dict[str, Any]) -> list[str]:
    """What of the hub's is in force, and what became of what it sent last."""
    orders = found.get("orders")
    if not orders:
        return []
    if not orders["enabled"]:
        return ["settings the site's file; orders of the hub are not taken"]
    told, running = orders["settings"], orders["running"]
    hub = f"the hub's revision {orders['revision']} over the site's file" if running else "the site's file"
    lines = [f"settings {hub}{', on trial' if orders['probing'] else ''}"]
    if told and told["outcome"] not in ("kept", "probing"):
        lines.append(f"         the hub's newest ones were {told['outcome'].replace('-', ' ')}:")
        lines += [f"         {problem}" for problem in told["problems"]]
    if orders["paused"]:
        lines.append(f"paused   {', '.join(orders['paused'])}: by the hub's order, kept and not sent")
    if orders["last_refusal"]:
        lines.append(f"orders   the last one that was refused was {orders['last_refusal']}")
    return lines
