"""The commands besides `init` and `serve`: what they print, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farshore_hub import cli
from farshore_hub.fleet.enrol import enrol
from farshore_hub.opening import open_hub
from farshore_protocol.enrolment import Membership, read_membership, read_token
from tests.hub.cli.conftest import Run
from tests.hub.fleet.site import SiteKeys
from tests.hub.web.parcels import Sender

RECORDS: list[dict[str, Any]] = [{"ts": f"2026-11-23T10:00:0{n}Z", "temp": 20 + n} for n in range(4)]


def joined(run: Run, folder: Path, name: str) -> tuple[SiteKeys, Membership]:
    keys = SiteKeys(name)
    token = run("site", "add", name).out.strip()
    with open_hub(folder) as hub:
        return keys, read_membership(enrol(hub.fleet, keys.enrolment(token)))


@pytest.fixture
def imported(run: Run, folder: Path, tmp_path: Path) -> Sender:
    """A site whose parcel came as a file: four records, of six that it gave out."""
    sender = Sender(*joined(run, folder, "pump-1"))
    parcel = tmp_path / "pump-1.parcel"
    parcel.write_bytes(sender.parcel(RECORDS, head=6))
    assert run("import", parcel).exit_code == 0
    return sender


def test_a_join_token_is_all_that_site_add_prints_to_stdout(run: Run, folder: Path) -> None:
    said = run("site", "add", "pump-1")
    assert read_token(said.out).site == "pump-1"
    assert said.out.count("\n") == 1
    assert run("site", "add", "pump-2", "--expires", "7d", "--json").json["site"] == "pump-2"


def test_sites_are_listed_for_people_and_for_programs(run: Run, folder: Path) -> None:
    run("site", "add", "pump-1")
    assert "pump-1" in run("site", "list").out
    assert [(site["name"], site["state"]) for site in run("site", "list", "--json").json] == [("pump-1", "pending")]


def test_how_the_sites_stand_is_shown_for_people_and_for_programs(run: Run, imported: Sender) -> None:
    run("site", "add", "pump-2")
    said = run("fleet").out
    assert "1 gap, 1 new" in said
    told = run("fleet", "--standing", "gap", "--json").json
    assert [(site["name"], site["stored"], site["gap"]) for site in told["sites"]] == [("pump-1", 4, 2)]
    assert (told["found"], told["summary"]["sites"]) == (1, 2)
    assert run("fleet", "--stream", "NO STREAM").exit_code == 5


def test_everything_about_a_site_is_shown(run: Run, imported: Sender) -> None:
    said = run("site", "show", "pump-1").out
    assert "4 of 6" in said
    assert "missing: boiler 5-6" in said
    assert run("site", "show", "pump-1", "--json").json["watermarks"][0]["watermark"] == 4
    assert run("site", "show", "nobody").exit_code == 6


def test_a_site_is_revoked_and_may_get_another_token(run: Run, folder: Path) -> None:
    joined(run, folder, "pump-1")
    assert run("site", "revoke", "pump-1").exit_code == 0
    assert run("site", "list", "--json").json[0]["state"] == "revoked"
    assert read_token(run("site", "token", "pump-1").out).site == "pump-1"


def test_tokens_are_made_listed_and_revoked(run: Run, folder: Path) -> None:
    assert run("token", "add", "grafana", "--role", "viewer").out.startswith("fsh_")
    assert run("token", "revoke", "grafana").exit_code == 0
    listed = {token["name"]: token for token in run("token", "list", "--json").json}
    assert (listed["admin"]["role"], listed["admin"]["revoked_us"]) == ("admin", None)
    assert listed["grafana"]["revoked_us"]
    assert "grafana" in run("token", "list").out


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["site", "add", "NOT ALLOWED"], 5, "is not a site name"),
        (["site", "revoke", "nobody"], 6, "there is no site 'nobody'"),
        (["site", "token", "nobody"], 6, "there is no site 'nobody'"),
        (["token", "revoke", "nobody"], 6, "there is no token 'nobody'"),
        (["token", "add", "admin", "--role", "admin"], 6, "there is a token 'admin' already"),
        (["completeness", "--site", "nobody"], 6, "there is no site 'nobody'"),
        (["export", "nothing"], 6, "there is no stream 'nothing'"),
        (["query", "SELEC"], 5, "error: "),
        (["query", "SELECT * FROM nothing"], 6, "nothing"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(
    run: Run, folder: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    ended = run(*arguments)
    assert (ended.exit_code, ended.out) == (exit_code, "")
    assert ended.err.startswith("error: ")
    assert said in ended.err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["site", "add"], ["site", "add", "a", "--expires", "soon"], ["token", "add", "a"]]
)
def test_a_wrong_command_line_ends_with_2(run: Run, folder: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_without_a_hub_every_command_says_so(run: Run, tmp_path: Path) -> None:
    ended = run("--data-dir", tmp_path / "nowhere", "site", "list")
    assert ended.exit_code == 4
    assert "there is no hub in" in ended.err
    assert "what to do: run 'farshore-hub init --data-dir" in ended.err


def test_all_faults_of_the_settings_are_told_at_once(run: Run, folder: Path) -> None:
    (folder / "hub.toml").write_text(
        'addresses = ["nonsense"]\nlisten = 5\nlissten = "x"\n[web]\nbody_timeout = "1 x"\n'
    )
    ended = run("site", "list")
    assert ended.exit_code == 3
    assert all(
        key in ended.err for key in ("addresses.0", "listen", "lissten: there is no such key", "web.body_timeout")
    )


def test_a_file_that_is_not_toml_is_told_so(run: Run, folder: Path) -> None:
    (folder / "hub.toml").write_text("addresses = [")
    assert run("site", "list").exit_code == 3


def test_the_database_of_another_version_is_refused_until_it_is_upgraded(run: Run, folder: Path) -> None:
    for leftover in folder.glob("hub.db*"):
        leftover.unlink()
    ended = run("site", "list")
    assert ended.exit_code == 4
    assert "what to do: farshore-hub db upgrade" in ended.err
    assert "CREATE TABLE sites" in run("db", "upgrade", "--dry-run").out
    assert run("db", "current").out.startswith("none ")
    assert run("db", "upgrade").exit_code == 0
    assert run("site", "list").exit_code == 0


def test_a_parcel_that_came_as_a_file_is_taken_and_answered_beside_it(
    run: Run, folder: Path, imported: Sender, tmp_path: Path
) -> None:
    answer = imported.read_answer((tmp_path / "pump-1.parcel.ack").read_bytes())
    assert answer.accounts[0].stored == [1, 4]
    again = run("import", tmp_path / "pump-1.parcel", "--ack", tmp_path / "elsewhere.ack")
    assert "0 new records" in again.out
    assert imported.read_answer((tmp_path / "elsewhere.ack").read_bytes()).accounts[0].stored == [1, 4]


def test_a_file_that_is_no_parcel_or_of_a_revoked_site_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    sender = Sender(*joined(run, folder, "pump-1"))
    parcel = tmp_path / "p.parcel"
    parcel.write_bytes(b"no parcel")
    assert run("import", parcel).exit_code == 5
    parcel.write_bytes(sender.parcel(RECORDS))
    run("site", "revoke", "pump-1")
    ended = run("import", parcel)
    assert (ended.exit_code, "revoked" in ended.err) == (5, True)
    assert not (tmp_path / "p.parcel.ack").exists()


def a_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def a_sparse_file(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(2**40)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: Path("/dev/zero"), "is a device or a pipe"),
        (a_pipe, "is a device or a pipe"),
        (a_sparse_file, "has more than the"),
    ],
)
def test_a_device_a_pipe_and_an_endless_file_are_no_parcel(
    run: Run, folder: Path, tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    ended = run("import", make(tmp_path / "a.parcel"), "--ack", tmp_path / "a.ack")
    assert (ended.exit_code, said in ended.err) == (5, True), ended
    assert not (tmp_path / "a.ack").exists()


def test_completeness_names_what_is_missing_and_check_ends_with_10(run: Run, imported: Sender) -> None:
    shown = run("completeness")
    assert (shown.exit_code, "pump-1" in shown.out) == (0, True)
    line = run("completeness", "--json").json["streams"][0]
    assert (line["produced"], line["stored"], line["gap"]) == (6, 4, 2)
    checked = run("completeness", "--gaps", "--check")
    assert checked.exit_code == 10
    assert f"missing: pump-1 boiler 5-6 (incarnation {imported.incarnation.hex()})" in checked.out


def test_check_is_content_when_nothing_is_missing(run: Run, folder: Path) -> None:
    assert run("completeness", "--check").exit_code == 0


def test_a_query_is_answered_as_table_json_and_csv(run: Run, imported: Sender) -> None:
    sql = "SELECT _site AS site, count(*) AS n FROM boiler GROUP BY _site"
    assert "pump-1" in run("query", sql).out
    assert run("query", sql, "--format", "json").json == [{"site": "pump-1", "n": 4}]
    assert run("query", sql, "--format", "csv").out.splitlines() == ["site,n", "pump-1,4"]


def test_a_stream_is_exported_to_a_file(run: Run, imported: Sender, tmp_path: Path) -> None:
    path = tmp_path / "boiler.ndjson"
    assert run("export", "boiler", "--output", path).exit_code == 0
    assert [json.loads(line) for line in path.read_text().splitlines()] == RECORDS


def test_without_the_hubs_packages_the_command_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(cli, "_NEEDED", ("sys", "not_installed_here"))
    ended = run("--help")
    assert ended.exit_code == 1
    assert "what to do: pip install 'farshore[hub]'\n" in ended.err


def test_site_list_does_not_load_the_lake_or_the_web() -> None:
    code = "import sys, farshore_hub.cli.root, farshore_hub.cli.site; print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"duckdb", "deltalake", "pyarrow", "fastapi", "uvicorn"} & set(eval(loaded))


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("init", "serve", "site", "token", "completeness", "query", "export", "import", "db"):
        assert f"{command}  " in run("--help").out
        assert "Usage: farshore-hub" in run(command, "--help").out


def test_a_site_that_is_over_its_quota_is_named(run: Run, imported: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("completeness", "--json").json["over_quota"] == []
    monkeypatch.setattr("farshore_hub.reports.over", lambda _connection, _max_bytes: ["pump-1"])
    assert "over its quota: of pump-1 no batches are taken" in run("completeness").out
    assert run("completeness", "--json").json["over_quota"] == ["pump-1"]


def test_the_ledger_is_shown_by_the_hour_as_it_was_and_made_again(run: Run, imported: Sender) -> None:
    assert imported.keys.name in run("completeness", "--hours").out
    by_hour = run("completeness", "--hours", "--site", imported.keys.name, "--json")
    assert {line["site"] for line in by_hour.json["hours"]} == {imported.keys.name}
    assert run("completeness", "--at", "2000-01-01T00:00Z", "--json").json["streams"] == []
    assert run("ledger", "rebuild", "--json").json == []
    assert run("completeness", "--hours", "--gaps").exit_code == 2
