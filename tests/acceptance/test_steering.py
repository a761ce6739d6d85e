"""A fleet that is steered by the commands of the hub: real agents, without a broker, orders in the answers alone."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tests.acceptance.commands import until
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.site import READINGS, Site


def apply(hub: Hub, folder: Path, text: str, *options: object) -> int:
    """Bring that to the fleet; the number of the rollout."""
    folder.mkdir(exist_ok=True)
    (folder / "fleet.toml").write_text(text)
    said = hub.do("config", "apply", folder, "--yes", "--json", *options)
    return int(said.json["rollout"])


def rollout(hub: Hub, number: int) -> dict[str, Any]:
    status, body = hub.request("GET", f"/v1/rollouts/{number}")
    assert status == 200, body
    said: dict[str, Any] = json.loads(body)
    return said


def state(hub: Hub, number: int) -> str:
    return str(rollout(hub, number)["rollout"]["state"])


def agreement(hub: Hub, site: Site) -> str:
    status, body = hub.request("GET", f"/v1/sites/{site.name}/config")
    assert status == 200, body
    return str(json.loads(body)["site"]["agreement"])


def test_settings_and_commands_reach_real_agents_in_stages_and_a_bad_one_stops_at_the_canary(
    own_hub: Hub, sites: MakeSite, folder: Path
) -> None:
    ships = [sites(own_hub) for _ in range(2)]
    until("the hub knows them", lambda: all(agreement(own_hub, ship) == "none" for ship in ships))
    config = folder / "config"
    probe = "[layer]\nprobe_s = 1\n"
    good = apply(own_hub, config, f'{probe}[seal]\nlinger = "200 ms"\n', "--canary", 1)
    until("it is everywhere", lambda: state(own_hub, good) == "done")
    assert [agreement(own_hub, ship) for ship in ships] == ["current", "current"]
    assert all(ship.status()["orders"]["running"] > 0 for ship in ships)
    # Valid by the schema, and no agent can do it: it refuses or rolls back by itself, and the rollout stops.
    bad = apply(own_hub, config, f'{probe}[forward]\nbackoff_min = "5 min"\nbackoff_max = "1 s"\n', "--canary", 1)
    until("it has stopped", lambda: state(own_hub, bad) == "halted")
    said = rollout(own_hub, bad)
    assert "waiting" in {each["part"] for each in said["sites"]}
    assert [each["problems"] for each in said["sites"] if each["problems"]]
    own_hub.do("rollout", "abort", bad)
    for ship in ships:
        ship.must_post(20)
    flushed = own_hub.do("command", "flush", *(ship.name for ship in ships), "--json").json
    assert [each["outcome"] for each in flushed] == ["done", "done"]
    assert sum(own_hub.stored(ships[0].name, READINGS).values()) == 20
    own_hub.do("command", "support-bundle", ships[0].name, "--to", folder / "bundles")
    [bundle] = (folder / "bundles").iterdir()
    assert "doctor.json" in zipfile.ZipFile(io.BytesIO(bundle.read_bytes())).namelist()
