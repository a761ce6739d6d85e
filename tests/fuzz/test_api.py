"""The hub's API does what its OpenAPI description says, whatever is asked; `make fuzz-api` asks more."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from farshore_hub.fleet import sites
from farshore_hub.fleet.api_tokens import Role
from tests.fuzz.api import faults_of
from tests.hub.web.running import JSON, RunningHub, running_hub


@pytest.fixture(params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningHub]:
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    with running_hub(tmp_path, database=database) as running:
        yield running


def test_every_answer_is_as_it_is_described(tmp_path: Path) -> None:
    """On SQLite; `make fuzz-api STORE=postgres` asks the same of the other one, which takes a minute."""
    with running_hub(tmp_path) as hub:
        assert not faults_of(hub)


def test_an_answer_that_is_not_as_described_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "_check_name", lambda name: None)
    with running_hub(tmp_path) as hub:
        assert "Schema-violating request accepted" in faults_of(hub, only="/v1/sites")


@pytest.mark.parametrize("path", ["/v1/sites/{}/token", "/v1/sites/{}/revoke"])
def test_a_nul_byte_in_a_name_is_refused(hub: RunningHub, path: str) -> None:
    said = hub.ask("POST", path.format("a%00b"), b"{}", kind=JSON, role=Role.ADMIN)
    assert (said.status, said.problem) == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid")


def test_a_token_can_live_as_long_as_a_duration_can_be(hub: RunningHub) -> None:
    body = b'{"name": "a", "expires": "%s d"}'
    assert hub.ask("POST", "/v1/sites", body % b"999999999", kind=JSON, role=Role.ADMIN).problem == "invalid"
    assert hub.ask("POST", "/v1/sites", body % b"99999999", kind=JSON, role=Role.ADMIN).status == HTTPStatus.CREATED


def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(hub: RunningHub) -> None:
    said = hub.ask("DELETE", "/v1/sites", role=Role.ADMIN)
    assert (said.status, said.headers["allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, POST")
