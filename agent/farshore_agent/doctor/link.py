"""The identity, the clock, and the way to the hub: its name, port and certificate, and whether it knows the site."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from farshore_agent.errors import AgentError
from farshore_agent.forward.hub_http import HubHttp
from farshore_agent.forward.link import LinkBusy, LinkDown, LinkRefused
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.tls import pinned_context
from farshore_protocol.parcel import PARCEL_TYPE
from farshore_protocol.ports import Clock
from farshore_shell.findings import Fault, Finding, Severity

NAME_S: Final = 10.0
CLOCK_US: Final = 60_000_000
_US_PER_DAY: Final = 86_400_000_000
_UNAUTHORISED: Final = (401, 403)


def load_identity(folder: Path) -> Identity | Finding:
    """The identity, or what is wrong with it."""
    try:
        return Identity.load(folder)
    except AgentError as error:
        return Finding("identity", Severity.TO_DO, str(error), Fault.OPERATOR, error.remedy)


def look_at_certificate(identity: Identity, now_us: int) -> Iterator[Finding]:
    """The life of the certificate, by this machine's clock."""
    left_us = identity.not_after_us - now_us
    if left_us < 0:
        what = f"the certificate ended {-left_us // _US_PER_DAY} day(s) ago, if this clock is right"
        remedy = "start the agent: it renews by its signing key; if the hub refuses that, enrol again with --force"
        yield Finding("certificate-ended", Severity.TO_DO, what, Fault.SITE, remedy)


def look_at_clock(link: dict[str, Any] | None) -> Iterator[Finding]:
    """How far the clock was from the hub's at the last exchange."""
    offset_us = (link or {}).get("clock_offset_us")
    if offset_us is not None and abs(offset_us) > CLOCK_US:
        what = f"this clock is {abs(offset_us) // 1_000_000} s {'behind' if offset_us > 0 else 'ahead of'} the hub's"
        remedy = "set the machine's clock (NTP); records without a time of their own get this one"
        yield Finding("clock", Severity.TO_DO, what, Fault.OPERATOR, remedy)


async def look_at_link(identity: Identity, addresses: Sequence[str], identity_dir: Path, clock: Clock) -> list[Finding]:
    """Ask each of the hub's addresses."""
    found: list[Finding] = []
    for address in addresses:
        found += await _ask(identity, address, identity_dir, clock)
    return found


async def _ask(identity: Identity, address: str, identity_dir: Path, clock: Clock) -> list[Finding]:
    host = address.rsplit("://", maxsplit=1)[-1].rsplit(":", 1)[0].strip("[]")
    try:
        async with asyncio.timeout(NAME_S):
            await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        what = f"{host}: there is no such name ({error})"
        return [Finding("link-name", Severity.TO_DO, what, Fault.NETWORK, "check DNS and the address of the hub")]
    chain = identity_dir / "tls.pem"
    hub = HubHttp([address], pinned_context(identity.authorities, chain if chain.exists() else None), clock)
    try:
        # Not a parcel: a hub that knows the site says that it cannot read this, one that does not says so first.
        await hub.ask("POST", "/v1/parcels", b"", content_type=PARCEL_TYPE)
    except LinkBusy:
        return []
    except LinkDown as error:
        return [Finding("link-down", Severity.TO_DO, f"{address}: {error}", Fault.NETWORK, error.remedy)]
    except LinkRefused as error:
        if error.problem.status not in _UNAUTHORISED:
            return []
        return [Finding("link-refused", Severity.TO_DO, f"{address}: {error}", Fault.HUB, error.problem.remedy)]
    finally:
        await hub.close()
    return []
