"""Staying a member: when a certificate is due, and that an ended one is no obstacle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore_agent.forward.hub_http import HubHttp
from farshore_agent.forward.link import LinkRefused
from farshore_agent.identity.enrol import enrol, parse_token
from farshore_agent.identity.identity import Identity, SiteKeys
from farshore_agent.identity.renewal import due_us, renew
from farshore_agent.identity.road import TlsRoad
from farshore_agent.identity.tls import pinned_context
from farshore_protocol.enrolment import HubKey, Membership
from farshore_shell.system import real_world
from tests.agent.forward.hub_stub import HubStub

WORLD = real_world()
ROAD = TlsRoad(WORLD.clock)
DAY_US = 86_400_000_000


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubStub]:
    async with HubStub(tmp_path) as hub:
        yield hub


async def joined(hub: HubStub, folder: Path) -> Identity:
    identity = await enrol(parse_token(hub.token()), WORLD)
    identity.save(folder)
    return identity


async def test_a_renewed_certificate_is_accepted_and_the_signing_key_stays(hub: HubStub, tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    before = await joined(hub, folder)
    after = await renew(before, folder, hub.addresses, ROAD)
    assert after.keys.signing_key == before.keys.signing_key
    assert after.membership.certificate != before.membership.certificate
    link = HubHttp(hub.addresses, pinned_context(after.membership.ca, after.write_chain(folder)), WORLD.clock)
    with pytest.raises(LinkRefused) as refused:
        await link.ask("POST", "/v1/renew", b"", content_type="x")
    await link.close()
    assert refused.value.problem.status == 400


async def test_a_certificate_that_has_ended_is_renewed_by_the_signing_key(hub: HubStub, tmp_path: Path) -> None:
    hub.certificate_life = timedelta(days=-1)
    ended = await joined(hub, tmp_path / "identity")
    hub.certificate_life = timedelta(days=30)
    hub.unknown_certificates = True
    renewed = await renew(ended, tmp_path / "identity", hub.addresses, ROAD)
    assert renewed.not_after_us > ended.not_after_us


async def test_a_revoked_site_is_not_renewed(hub: HubStub, tmp_path: Path) -> None:
    identity = await joined(hub, tmp_path / "identity")
    hub.revoked.add("ship-1")
    with pytest.raises(LinkRefused, match="revoked"):
        await renew(identity, tmp_path / "identity", hub.addresses, ROAD)


@given(st.integers(0, 2**50), st.integers(1, 2**50), st.floats(0, 1))
def test_renewal_is_due_well_within_a_certificates_life(start_us: int, life_us: int, jitter: float) -> None:
    membership = Membership(
        site="s",
        hub=bytes(8),
        at_us=start_us,
        certificate="",
        ca="",
        signing_keys=[HubKey(bytes(8), b"")],
        sealing_keys=[HubKey(bytes(8), b"")],
        addresses=[],
    )
    at_us = due_us(Identity(SiteKeys("", bytes(32)), membership, start_us + life_us), jitter)
    assert start_us + life_us // 2 <= at_us <= start_us + (2 * life_us + 2) // 3
