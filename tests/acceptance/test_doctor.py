"""The doctors through the installed commands: damage that is found, named and repaired; and the count."""

from __future__ import annotations

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS

HEALTHY, TO_DO, LOST = 0, 20, 21


def test_a_damaged_buffer_is_found_repaired_and_counted(own_hub: Hub, sites: MakeSite) -> None:
    site = sites(own_hub)
    site.must_post(10)
    while_running = site.run("doctor", "--json")
    assert while_running.code == HEALTHY, while_running.out + while_running.err
    own_hub.kill()
    site.must_post(300)
    site.stop()
    assert site.run("doctor", "--offline").code == HEALTHY
    file = site.state / "buffer.db"
    raw = bytearray(file.read_bytes())
    raw[:4096] = bytes(4096)
    file.write_bytes(raw)
    before = sorted(each.name for each in site.state.iterdir())
    found = site.run("doctor", "--offline", "--json")
    assert found.code == TO_DO, found.out
    assert found.json["findings"][0]["code"] == "buffer-file"
    assert "doctor --repair" in found.json["findings"][0]["remedy"]
    assert sorted(each.name for each in site.state.iterdir()) == before
    repaired = site.run("doctor", "--offline", "--repair")
    assert repaired.code == HEALTHY, repaired.out
    assert "set aside as buffer.db.damaged-" in repaired.out
    assert site.run("doctor", "--offline").code == HEALTHY
    own_hub.start()
    site.start()
    assert_settled(own_hub, site)


def test_an_agent_s_doctor_names_a_link_that_is_down_and_rights_that_are_too_wide(
    own_hub: Hub, sites: MakeSite
) -> None:
    site = sites(own_hub, started=False)
    site.start()
    until("the site has delivered", lambda: site.status()["link"]["up"])
    site.stop()
    own_hub.kill()
    site.state.chmod(0o755)
    found = site.run("doctor", "--json")
    assert found.code == TO_DO
    assert {each["code"] for each in found.json["findings"]} >= {"open-to-others", "link-down"}
    site.state.chmod(0o700)
    assert READINGS not in found.out
