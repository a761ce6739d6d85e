"""The doctors through the installed commands: damage that is found, named and repaired; and the count."""

from __future__ import annotations

import contextlib
from typing import Any

import apsw

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS, Site

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


def test_a_damaged_hub_is_found_repaired_and_counted(own_hub: Hub, sites: MakeSite) -> None:
    site = sites(own_hub)
    site.must_post(50)
    assert_settled(own_hub, site)
    assert own_hub.run("doctor", "--json").code == HEALTHY
    batch = _batch_outside_the_lake(own_hub, site)
    site.stop()
    _flip(own_hub, batch)
    found = own_hub.run("doctor", "--json")
    assert found.code == LOST, found.out
    [finding] = found.json["findings"]
    assert (finding["code"], finding["lost"][0]["site"]) == ("batch", site.name)
    repaired = own_hub.run("doctor", "--repair")
    assert f"asked {site.name} for {finding['lost_records']} record(s) of {READINGS} again" in repaired.out
    assert own_hub.run("doctor").code == HEALTHY
    own_hub.start()
    site.start()
    site.must_post(1)
    assert_settled(own_hub, site)


def _batch_outside_the_lake(hub: Hub, site: Site) -> int:
    """Kill the hub between storing a batch and writing it into the lake; the batch."""
    for _ in range(10):
        site.must_post(10)
        until("it is delivered", lambda: site.status()["buffer"]["pending"] == 0)
        hub.kill()
        found = _ask(hub, "SELECT id FROM batches WHERE lake_commit IS NULL ORDER BY id DESC LIMIT 1")
        if found:
            return int(found[0][0])
        hub.start()
    raise AssertionError("the lake was always quicker")


def _flip(hub: Hub, batch: int) -> None:
    [(raw,)] = _ask(hub, f"SELECT raw FROM batches WHERE id = {batch}")
    changed = raw[:-3] + bytes((raw[-3] ^ 1,)) + raw[-2:]
    _ask(hub, f"UPDATE batches SET raw = x'{changed.hex()}' WHERE id = {batch}")


def _ask(hub: Hub, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(apsw.Connection(str(hub.data / "hub.db"))) as connection:
        connection.set_busy_timeout(30_000)
        return connection.execute(sql).fetchall()


def test_a_hub_s_doctor_sees_files_that_are_gone_from_the_lake(own_hub: Hub, sites: MakeSite) -> None:
    site = sites(own_hub)
    site.must_post(20)
    assert_settled(own_hub, site)
    until("it is in the lake", lambda: list(own_hub.data.glob("lake/*/*.parquet")) != [])
    own_hub.stop()
    assert own_hub.run("doctor").code == HEALTHY
    for file in own_hub.data.glob("lake/*/*.parquet"):
        file.unlink()
    found = own_hub.run("doctor", "--json")
    assert found.code == LOST
    assert {each["code"] for each in found.json["findings"]} == {"lake-files"}
