"""Who may be a site: tokens that are wrong, used or too old, a second enrolment, and a site that is revoked."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from farshore_protocol.enrolment import read_token, write_token
from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled, drain
from tests.acceptance.site import Site


def _stranger(folder: Path, hub: Hub) -> Site:
    """An agent that has not joined."""
    return Site("stranger", folder / "stranger", hub.port)


def _refused(site: Site, token: str, *, code: int) -> str:
    said = site.run("enrol", token)
    assert (said.code, said.err[:6]) == (code, "error:"), said
    assert "what to do: " in said.err
    assert not (site.state / "identity").exists()
    return said.err


def test_a_text_that_is_no_token_is_refused_before_anything_is_asked(hub: Hub, folder: Path) -> None:
    site, token = _stranger(folder, hub), hub.add_site(f"no-token-{folder.name}")
    for text in ("secret", token[:-7], token[:40] + "~" + token[41:]):
        _refused(site, text, code=2)


def test_a_token_with_another_secret_is_refused(hub: Hub, folder: Path) -> None:
    token = read_token(hub.add_site(f"wrong-{folder.name}"))
    _refused(_stranger(folder, hub), write_token(msgspec.structs.replace(token, secret=bytes(16))), code=5)


def test_a_token_of_another_hub_is_refused_because_the_ca_is_not_its(hub: Hub, folder: Path) -> None:
    token = read_token(hub.add_site(f"other-{folder.name}"))
    _refused(_stranger(folder, hub), write_token(msgspec.structs.replace(token, ca_sha256=bytes(32))), code=5)


def test_a_token_works_once(hub: Hub, folder: Path) -> None:
    first, second = Site("first", folder / "first", hub.port), Site("second", folder / "second", hub.port)
    token = hub.do("site", "add", f"once-{folder.name}").out.strip()
    first.do("enrol", token)
    _refused(second, token, code=5)


def test_a_token_works_no_longer_than_it_says(hub: Hub, folder: Path) -> None:
    token = hub.do("site", "add", f"late-{folder.name}", "--expires", "1s").out.strip()
    made_s = time.monotonic()
    until("the token is too old", lambda: time.monotonic() > made_s + 1.1)
    _refused(_stranger(folder, hub), token, code=5)


def test_a_second_enrolment_has_to_be_asked_for_and_loses_nothing(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub)
    site.must_post(50)
    token = hub.do("site", "token", site.name).out.strip()
    assert site.run("enrol", token).code == 2
    site.do("enrol", token, "--force")
    site.must_post(50)
    assert_settled(hub, site)


def test_a_revoked_site_is_shut_out_at_once_and_keeps_everything(hub: Hub, sites: MakeSite) -> None:
    site, neighbour = sites(hub), sites(hub)
    site.must_post(50)
    drain(hub, site)
    hub.do("site", "revoke", site.name)
    site.must_post(50)
    neighbour.must_post(50)
    until("the agent says it", lambda: "revoked" in str(site.status()["link"]["last_error"]))
    assert "revoked" in site.do("status").out
    assert site.status()["buffer"]["pending"] == 50
    assert hub.completeness(site.name)["readings"]["stored"] == 50
    assert hub.completeness(site.name)["readings"]["state"] == "unknown"
    drain(hub, neighbour)

    site.do("enrol", hub.do("site", "token", site.name).out.strip(), "--force")
    assert_settled(hub, site, neighbour)
