"""How the commands behave at a user's prompt: help, exit codes, and whether the daemon runs or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.commands import run
from tests.acceptance.conftest import MakeSite
from tests.acceptance.hub import Hub
from tests.acceptance.records import canonical, ndjson
from tests.acceptance.settled import assert_settled
from tests.acceptance.site import READINGS

COMMANDS = {
    "farshore": ["demo"],
    "farshore-agent": ["enrol", "run", "status", "check", "schema", "append", "export", "import-ack"],
    "farshore-hub": [
        *("init", "serve", "completeness", "query", "export", "import"),
        *("site add", "site token", "site list", "site revoke", "token add", "token list", "token revoke"),
        *("db upgrade", "db current"),
        *("alerts list", "alerts show", "alerts ack", "alerts silence", "alerts silences", "alerts unsilence"),
        *("alerts test", "maintenance add", "maintenance list", "maintenance end"),
        *("expectations", "objectives"),
    ],
}
EVERY = [f"{name} {command}" for name, commands in COMMANDS.items() for command in commands]


@pytest.mark.parametrize("line", EVERY)
def test_every_command_s_help_ends_with_an_example_and_its_exit_codes(line: str) -> None:
    said = run(*line.split(), "--help")
    assert said.code == 0
    assert "Example" in said.out
    assert "Exit codes" in said.out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_that_does_not_exist_is_a_usage_error(name: str) -> None:
    said = run(name, "no-such-command")
    assert said.code == 2
    assert "no-such-command" in said.err


def test_check_names_every_problem_of_the_settings_at_once(tmp_path: Path) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text(
        'state_dir = "s"\nunknown = 1\n[buffer]\nmax_bytes = "1 XB"\n[streams."Bad Name"]\n[seal]\nlinger = "soon"\n'
        '[inputs.api]\ntype = "http"\nlisten = "0.0.0.0:8080"\n[inputs.x]\ntype = "carrier-pigeon"\n'
    )
    said = run("farshore-agent", "check", settings)
    assert said.code == 3
    for key in ("unknown", "buffer.max_bytes", "Bad Name", "seal.linger", "inputs.api.listen", "inputs.x"):
        assert key in said.err, said.err
    told = run("farshore-agent", "check", settings, "--json")
    assert (told.code, told.json["valid"], len(told.json["problems"])) == (3, False, 6)


@pytest.mark.parametrize("command", ["run", "status", "append boiler"])
def test_settings_that_are_not_valid_end_every_command_with_3(tmp_path: Path, command: str) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text("unknown = 1")
    assert run("farshore-agent", "--config", settings, *command.split()).code == 3


def test_a_hub_command_where_there_is_no_hub_says_how_to_make_one(tmp_path: Path) -> None:
    said = run("farshore-hub", "--data-dir", tmp_path / "none", "serve")
    assert said.code == 4
    assert "init" in said.err


def test_status_and_append_work_with_the_daemon_up_and_down(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub)
    up = site.do("status", "--json").json
    assert (up["running"], up["identity"]["site"]) == (True, site.name)
    first, second = site.supply.readings(50), site.supply.readings(50)
    site.do("append", READINGS, given=ndjson(first))
    site.stop()
    down = site.do("status", "--json").json
    assert (down["running"], down["identity"]["site"]) == (False, site.name)
    assert "not running" in site.do("status").out
    site.do("append", READINGS, given=ndjson(second))
    assert site.do("status", "--json").json["buffer"]["pending"] >= 50
    site.acknowledged[READINGS].update(map(canonical, first + second))
    site.start()
    assert_settled(hub, site)


def test_append_tells_which_lines_were_refused_and_keeps_the_others(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub)
    for daemon in ("up", "down"):
        good = site.supply.readings(2)
        said = site.run("append", READINGS, given=ndjson(good[:1]) + b"garbage\n" + ndjson(good[1:]))
        assert said.code == 7, said
        assert "line 2" in said.err
        site.acknowledged[READINGS].update(map(canonical, good))
        site.refused[READINGS] += 1
        if daemon == "up":
            site.stop()
    site.start()
    assert_settled(hub, site)


def test_a_second_daemon_on_one_state_folder_is_refused_and_the_first_goes_on(hub: Hub, sites: MakeSite) -> None:
    site = sites(hub)
    said = site.run("run")
    assert said.code == 1
    assert "another agent" in said.err
    site.must_post(10)
    assert_settled(hub, site)
