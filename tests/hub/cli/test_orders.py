"""The commands that steer a fleet: what they print, what they ask, and how they end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from farshore_hub.opening import OpenedHub, open_hub
from farshore_hub.orders.steering import Steering
from farshore_hub.store.engine import writing
from farshore_hub.store.ranges import pack_ranges
from farshore_hub.store.schema import accounts, sites
from farshore_protocol.ranges import EMPTY
from tests.contracts.enlisted import Enlisted
from tests.contracts.hub_world import CountingRandom, inline
from tests.hub.cli.conftest import Run


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A folder as it is kept in git."""
    folder = tmp_path / "config"
    (folder / "groups").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.toml").write_text("not ours")
    (folder / "README.md").write_text("for people")
    (folder / "fleet.toml").write_text('[seal]\nlinger = "2 s"\n')
    (folder / "groups" / "north.toml").write_text(
        '[layer]\nlabels = { region = "north" }\n[forward]\ntoken = "${secret.KEY}"\n'
    )
    return folder


class Input:
    """Standard input that is no terminal."""

    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())

    def isatty(self) -> bool:
        return False


def test_a_fleet_is_steered_by_commands_alone(
    run: Run, folder: Path, layers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_hub(folder) as hub:
        ship = Enlisted(hub, "ship-1")
        assert "north" in run("site", "label", "ship-1", "region=north").out
        refused = run("config", "diff", layers)
        assert refused.exit_code == 5
        assert "farshore-hub secret set KEY" in refused.out
        monkeypatch.setattr("sys.stdin", Input("hush-hush\n"))
        assert run("secret", "set", "KEY").exit_code == 0
        shown = run("config", "diff", layers)
        assert shown.exit_code == 0
        assert '+token = "${secret.KEY}"' in shown.out
        assert "1 sites change, 0 stay" in shown.out
        planned = ("--canary", "1", "--then", "50%", "--soak", "0s", "--halt-on", "failed=1,silent=2")
        applied = run("config", "apply", layers, *planned, "--yes", "--by", "alice", "--json")
        assert applied.json == {"revision": 1, "rollout": 1, "sites": 1}
        assert "1, 50%, 100%" in run("rollout", "list").out
        assert run("rollout", "pause", 1).exit_code == 0
        assert run("rollout", "resume", 1, "--note", "go").exit_code == 0
        Steering(hub.engine, hub.keys, hub.fleet.clock, CountingRandom(), inline).turn()
        [order] = ship.orders()
        ship.keep(order)
        assert "current" in run("config", "sites").out
        assert run("config", "show", "ship-1", "--json").json["site"]["running"] == order.number
        assert "go" in run("rollout", "show", 1).out
        assert "hush" not in run("secret", "list").out + run("config", "show", "ship-1").out
        assert run("config", "rollback", 1, "--yes").exit_code == 6
        assert run("rollout", "abort", 1, "--note", "enough").exit_code == 0
        assert "goes to 0 sites" in run("config", "rollback", 1, "--yes").out
        assert run("config", "history", "--json").json[0]["note"] == "back to revision 1"
        assert "aborted" in run("config", "history", "--deeds").out


def test_nothing_is_applied_when_the_answer_is_no(
    run: Run, folder: Path, layers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("site", "add", "ship-1")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = run("config", "apply", layers)
    assert said.exit_code == 0
    assert "Change 1 sites in 1 stage(s)?" in said.out
    assert run("config", "history", "--json").json == []


def test_a_command_waits_for_its_answers_and_says_when_there_is_none(run: Run, folder: Path, tmp_path: Path) -> None:
    with open_hub(folder) as hub:
        ship = Enlisted(hub, "ship-1")
        late = run("command", "support-bundle", "ship-1", "--wait", "0s", "--json")
        assert late.exit_code == 12
        [command] = late.json
        assert command["state"] == "open"
        [order] = ship.orders()
        ship.answer(order, "1 file", b"PK")
        shown = run("command", "show", command["id"], "--to", tmp_path / "bundle.zip")
        assert "1 file" in shown.out
        assert (tmp_path / "bundle.zip").read_bytes() == b"PK"
        nothing = run("site", "ask", "ship-1")
        assert (nothing.exit_code, "nothing to ask" in nothing.err) == (6, True)
        missing(hub, "ship-1")
        asked = run("site", "ask", "ship-1", "--by", "ann", "--json")
        assert [each["arguments"]["last"] for each in asked.json["commands"]] == ["9"]
        assert "asked for: boiler 1-9" in run("site", "show", "ship-1").out
        assert run("command", "flush").exit_code == 5
        assert run("command", "flush", "ship-9").exit_code == 6
        assert run("command", "pause", "--stream", "../x", "ship-1").exit_code == 5
        assert "done" in run("command", "list", "--site", "ship-1").out


def missing(hub: OpenedHub, site: str) -> None:
    """The site has given out nine sequences, and nobody has them."""
    with writing(hub.engine) as connection:
        site_id = connection.scalar(select(sites.c.id).where(sites.c.name == site))
        own = {"site_id": site_id, "incarnation": b"12345678", "stream": "boiler", "head": 9}
        connection.execute(insert(accounts).values(own | {"held": pack_ranges(EMPTY)}))
