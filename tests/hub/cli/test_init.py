"""`farshore-hub init`, and what it makes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from farshore_hub import initialise as initialising
from farshore_hub import settings
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.opening import open_hub
from farshore_shell.system import SystemClock, SystemRandom
from tests.hub.cli.conftest import Run

ADDRESS = "https://hub.example.org:9443"


def test_init_makes_a_hub_and_says_what_comes_next(run: Run, tmp_path: Path) -> None:
    said = run("init", "--data-dir", tmp_path / "hub", "--address", ADDRESS)
    assert said.exit_code == 0
    assert "admin token, shown only now: fsh_" in said.out
    assert "next: farshore-hub serve" in said.out


def test_init_for_programs_gives_the_token_and_the_ca(run: Run, tmp_path: Path) -> None:
    made = run("--data-dir", tmp_path / "hub", "init", "--address", ADDRESS, "--json").json
    x509.load_pem_x509_certificate(Path(made["ca"]).read_bytes())
    with open_hub(tmp_path / "hub") as hub:
        assert api_tokens.role_of(hub.fleet, made["token"]) is Role.ADMIN
    assert made["addresses"] == [ADDRESS]


def test_only_the_owner_reads_what_init_makes(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secrets = [folder / "hub.toml", *(folder / "keys").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_the_hub_listens_on_the_port_of_its_address(run: Run, tmp_path: Path) -> None:
    run("init", "--data-dir", tmp_path / "hub", "--address", ADDRESS)
    place = settings.load(tmp_path / "hub")
    assert (place.settings.listen, place.settings.addresses) == ("0.0.0.0:9443", [ADDRESS])


def test_init_twice_is_refused_and_changes_nothing(run: Run, folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "keys").iterdir()}
    said = run("init")
    assert said.exit_code == 6
    assert said.err.startswith("error: there is a hub in")
    assert "what to do: start it: farshore-hub serve" in said.err
    assert {path: path.read_bytes() for path in (folder / "keys").iterdir()} == before


def test_a_wrong_address_is_refused_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    said = run("init", "--data-dir", tmp_path / "hub", "--address", "hub.example.org")
    assert said.exit_code == 3
    assert "addresses.0" in said.err
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("step", ["write_private", "HubKeys.create", "migrate.upgrade", "api_tokens.add"])
def test_an_init_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    data_dir = tmp_path / "hub"
    arguments = (data_dir, [ADDRESS], None, initialising.Stores(), SystemClock(), SystemRandom())
    with monkeypatch.context() as patch:
        patch.setattr(f"farshore_hub.initialise.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            initialising.initialise(*arguments)
    hub_id = data_dir / "keys" / "hub.id"
    kept = hub_id.read_text() if hub_id.exists() else None
    token = initialising.initialise(*arguments)
    with open_hub(data_dir) as hub:
        assert api_tokens.role_of(hub.fleet, token) is Role.ADMIN
        assert kept is None or hub.keys.hub.hex() == kept


def test_a_hub_keeps_its_ledger_in_postgresql_where_it_is_told_to(run: Run, tmp_path: Path, postgres_url: str) -> None:
    folder = tmp_path / "hub"
    url = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    assert run("--data-dir", folder, "init", "--address", ADDRESS, "--database", url).exit_code == 0
    assert run("--data-dir", folder, "site", "add", "pump-1").exit_code == 0
    assert run("--data-dir", folder, "site", "list", "--json").json[0]["name"] == "pump-1"
    assert not (folder / "hub.db").exists()


@pytest.mark.parametrize(
    ("url", "exit_code", "said"),
    [
        ("mysql://a@b/c", 3, "database.url: this is not a database"),
        ("postgresql://a@127.0.0.1:1/c", 4, "the database does not answer"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_so(
    run: Run, tmp_path: Path, url: str, exit_code: int, said: str
) -> None:
    ended = run("--data-dir", tmp_path / "hub", "init", "--address", ADDRESS, "--database", url)
    assert (ended.exit_code, said in ended.err) == (exit_code, True), ended


def test_a_lake_in_an_object_store_is_written_into_the_settings(run: Run, tmp_path: Path) -> None:
    at = ["--data-dir", tmp_path / "hub", "--address", ADDRESS]
    said = run("init", *at, "--lake", "s3://farshore/lake", "--lake-endpoint", "http://objects:8333")
    assert said.exit_code == 0, said.err
    lake = settings.load(tmp_path / "hub").settings.lake
    assert (lake.url, lake.endpoint) == ("s3://farshore/lake", "http://objects:8333")
    wrong = run("init", "--data-dir", tmp_path / "other", "--lake", "/a/folder")
    assert wrong.exit_code == 3
    assert "lake.url: this is no place in an object store" in wrong.err
