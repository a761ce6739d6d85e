"""A site and its hub joined in memory, for the tests of orders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from farshore_agent.orders.party import Party
from farshore_protocol.documents import Signer
from farshore_protocol.enrolment import HubKey
from farshore_protocol.orders import Command, Desired, Order, Report, open_report, pack_order, site_sealing_key
from tests.protocol import peers

T = TypeVar("T")
HUB = b"hub-name"
SITE = peers.SITE
SEALING = site_sealing_key(hashlib.sha256(b"site key of the tests").digest())
HUB_SIGNER = Signer(peers.HUB_SIGNING_ID, peers.HUB_SIGNER)
PARTY = Party(
    hub=HUB,
    site=SITE,
    key=SEALING,
    public_key=HubKey(SEALING.id, SEALING.public_bytes()),
    signers={peers.HUB_SIGNING_ID: peers.HUB_SIGNER.public_key()},
    signer=Signer(b"sitesign", peers.SITE_SIGNER),
    hub_key=HubKey(peers.HUB_SEALING.id, peers.HUB_SEALING.public_bytes()),
)
NOW_US = 1_795_435_200_000_000


def order(
    number: int = 7,
    *,
    settings: str | None = None,
    command: str = "",
    expires_us: int | None = None,
    probe_s: int = 60,
    hub: bytes = HUB,
    site: str = SITE,
    signer: Signer = HUB_SIGNER,
) -> bytes:
    """What a hub sends."""
    desired = None if settings is None else Desired(settings, 1, probe_s)
    made = Order(hub, site, number, NOW_US, expires_us, desired, Command(command) if command else None)
    return pack_order(made, signer, HubKey(SEALING.id, SEALING.public_bytes()))


def read(raw: bytes | None) -> Report:
    """What the hub reads in a report."""
    assert raw is not None, "there is nothing to report"
    signers = {PARTY.signer.id: peers.SITE_SIGNER.public_key()}
    return open_report(raw, hub=HUB, site=SITE, keys=[peers.HUB_SEALING], signers=signers)


async def inline(work: Callable[[], T]) -> T:
    """A runner without a thread."""
    return work()


def folder(tmp_path: Path) -> Path:
    """A state folder."""
    path = tmp_path / "state"
    path.mkdir(exist_ok=True)
    return path
