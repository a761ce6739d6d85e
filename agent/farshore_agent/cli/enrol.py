"""`farshore-agent enrol`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from farshore_agent.cli import options
from farshore_agent.cli.output import print_json
from farshore_agent.errors import AgentError, ExitCode, IdentityError, NotEnrolled

if TYPE_CHECKING:
    from farshore_agent.identity.identity import Identity
    from farshore_agent.settings import AgentSettings
    from farshore_protocol.enrolment import JoinToken

STANDARD_INPUT: Final = "-"


class EnrolledAlready(AgentError):
    """There is an identity; replacing it has to be asked for."""

    exit_code = ExitCode.USAGE
    title = "the site is enrolled already"


@click.command("enrol")
@click.argument("token")
@click.option("--force", is_flag=True, help="Replace the identity that is there.")
@options.config
@options.as_json
def command(token: str, config: Path | None, *, force: bool, as_json: bool) -> None:
    """Join a hub. TOKEN is what 'farshore-hub site add NAME' has printed; '-' reads it from the standard input.

    The keys are made here and never leave this machine. A running agent notices the enrolment by itself.

    \b
    Examples:
      farshore-agent enrol fs1.lJGwaHR0cHM6...
      ssh hub farshore-hub site add ship-1 | farshore-agent enrol -

    Exit codes: 0 joined, 2 the token is not one or the site is enrolled already, 5 the hub refused or is not there.
    """
    from farshore_agent.identity.enrol import parse_token

    settings = options.open_state(config)
    word = sys.stdin.readline() if token == STANDARD_INPUT else token
    identity = _join(settings, parse_token(word), force=force)
    if as_json:
        print_json({"site": identity.site, "hub": identity.membership.hub.hex()})
    else:
        click.echo(f"enrolled: this is now {identity.site}, of the hub at {', '.join(identity.membership.addresses)}")


def _join(settings: AgentSettings, token: JoinToken, *, force: bool) -> Identity:
    import asyncio

    from farshore_agent.app import BUFFER, IDENTITY
    from farshore_agent.identity.enrol import enrol
    from farshore_shell.system import real_world

    folder = settings.state_dir / IDENTITY
    present = _present(folder)
    if present and not force:
        raise EnrolledAlready(f"this is {present.site} already", remedy="use --force to replace its identity")
    if present and present.site != token.site:
        _check_nothing_sealed(settings.state_dir / BUFFER, present.site)
    identity = asyncio.run(enrol(token, real_world(), addresses=settings.forward.hub))
    try:
        identity.save(folder)
    except OSError as error:
        raise AgentError(
            f"the identity cannot be stored in {folder}: {error.strerror}; the token is used up",
            remedy="make room or give the folder to this user, then ask for a new token",
        ) from None
    return identity


def _present(folder: Path) -> Identity | None:
    from farshore_agent.identity.identity import Identity

    try:
        return Identity.load(folder)
    except (NotEnrolled, IdentityError):
        return None


def _check_nothing_sealed(buffer: Path, site: str) -> None:
    """What is sealed is sealed as the old site's: nobody could open it in another one's name."""
    from farshore_agent.buffer import read_status

    if not buffer.exists():
        return
    waiting = sum(stream.waiting_batches for stream in read_status(buffer, max_bytes=0).streams)
    if waiting:
        raise EnrolledAlready(
            f"{waiting} batch(es) are sealed as {site}, and only {site} can deliver them",
            remedy=f"deliver them first, or use a token for {site}, or another state_dir",
        )
