"""`farshore-agent run`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

import click

from farshore_agent.cli import options

_LEVELS: Final = ("debug", "info", "warning", "error")


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix("farshore_agent."),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


@click.command("run")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True)
@options.config
def command(config: Path | None, log_format: str, log_level: str) -> None:
    """Collect and deliver until SIGTERM or Ctrl-C. Without an identity it collects, and delivers once enrolled.

    Prints a line for every door and for the link; the log goes to the standard error. Under systemd it says when it is
    ready, gives signs of life and says when it stops (Type=notify, WatchdogSec=).

    \b
    Examples:
      farshore-agent run
      farshore-agent --config /etc/farshore-agent/agent.toml run --log-format json

    Exit codes: 0 stopped as asked, 1 another agent uses the state folder or the disk fails, 3 settings not valid.
    """
    import asyncio

    from farshore_agent.recent_log import RecentLog
    from farshore_agent.service import run_agent
    from farshore_shell.owner import stay_owner
    from farshore_shell.supervisor import Supervisor
    from farshore_shell.system import keep_memory_small, write_for_us_only

    local = options.open_file(config)
    stay_owner()
    write_for_us_only()
    keep_memory_small()
    recent_log = RecentLog()
    _log_to(recent_log, log_format, log_level)
    asyncio.run(run_agent(local, tell=_tell, supervisor=Supervisor.of_environment(), recent_log=recent_log))


def _tell(line: str) -> None:
    click.echo(line)


def _log_to(recent_log: logging.Handler, log_format: str, log_level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        _Json() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=log_level.upper(), handlers=[handler, recent_log])
    # asyncio logs what its transports meet: every cut link would be a stack trace.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL if log_level != "debug" else logging.DEBUG)
