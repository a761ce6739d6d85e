"""A thief copies a site's identity, keys and all. When the site has joined anew, what the thief has is worthless."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from farshore_agent.identity.identity import Identity
from farshore_agent.identity.keys import certificate_request, renewed_keys
from farshore_protocol import wire
from farshore_protocol.enrolment import RenewalRequest, signed_renewal
from tests.acceptance.client import Client
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import Site


def _tries(stolen: Path, hub: Hub) -> list[int]:
    """What the hub answers to a renewal by certificate, one by signing key, and a parcel."""
    thief = Client(stolen, hub.port)
    keys = renewed_keys(thief.identity.keys)
    csr = certificate_request(keys, thief.identity.site)
    signature = keys.signer().sign(signed_renewal(thief.identity.site, csr))
    by_certificate, by_key = (RenewalRequest(thief.identity.site, csr, proof) for proof in (b"", signature))
    parcel = thief.parcel("forged", 1, thief.batch("forged", 1, [{"forged": True}]))
    return [
        thief.post(wire.pack(by_certificate), "application/vnd.msgpack", "/v1/renew")[0],
        thief.post(wire.pack(by_key), "application/vnd.msgpack", "/v1/renew", signed_in=False)[0],
        thief.post(parcel)[0],
    ]


def _join_again(site: Site, hub: Hub) -> None:
    site.do("enrol", hub.do("site", "token", site.name).out.strip(), "--force")


@pytest.mark.parametrize("revoked", [True, False], ids=["revoked", "not-revoked"])
def test_stolen_keys_are_worthless_once_the_site_has_joined_anew(
    hub: Hub, sites: MakeSite, folder: Path, *, revoked: bool
) -> None:
    site, stolen = sites(hub), folder / "stolen"
    site.must_post(20)
    shutil.copytree(site.state / "identity", stolen / "identity")
    if revoked:
        hub.do("site", "revoke", site.name)
        assert _tries(stolen, hub) == [403, 403, 403]
    _join_again(site, hub)
    assert _tries(stolen, hub) == [403, 403, 401]
    site.must_post(20)
    assert_settled(hub, site)
    assert "forged" not in hub.completeness(site.name)


def test_while_nobody_knows_of_the_theft_the_same_keys_are_good(hub: Hub, sites: MakeSite, folder: Path) -> None:
    site = sites(hub, started=False)
    shutil.copytree(site.state / "identity", folder / "stolen" / "identity")
    assert _tries(folder / "stolen", hub) == [200, 200, 200]


def test_what_was_sealed_before_the_site_joined_anew_is_delivered_under_its_new_key(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub, port=1)
    site.must_post(40)
    assert site.export(site.folder / "unused")
    site.stop()
    site.write_settings(hub.port)
    before = Identity.load(site.state / "identity")
    hub.do("site", "revoke", site.name)
    _join_again(site, hub)
    assert Identity.load(site.state / "identity").keys.signing_key != before.keys.signing_key
    site.start()
    assert_settled(hub, site)
