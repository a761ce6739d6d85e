"""Text of a site, or of whoever answers in the hub's place, is shown and never obeyed."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError

from farshore_agent.forward.hub_http import read_problem
from farshore_agent.net.messages import Response
from farshore_hub.cli.root import root
from farshore_hub.fleet import sites
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.initialise import Stores, initialise
from farshore_hub.opening import open_hub
from farshore_hub.store import schema
from farshore_hub.store.engine import open_engine, writing
from farshore_shell.system import SystemClock, SystemRandom
from farshore_shell.texts import printable
from tests.hub.fleet.site import DAY_S
from tests.hub.web.running import RunningHub

HOSTILE = "\x1b]0;owned\x07[/red]\u202e[bold]\x9b2J\r\ud800"


def test_a_site_that_calls_its_version_markup_and_escapes_is_listed_like_any_other(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    initialise(data, ["https://127.0.0.1:8443"], None, Stores(), SystemClock(), SystemRandom())
    with open_hub(data) as hub:
        sites.add(hub.fleet, "pump-1", DAY_S)
        with writing(hub.engine) as connection:
            connection.execute(update(schema.sites).values(agent_version=HOSTILE.replace("\ud800", "")))
    listed = CliRunner().invoke(root, ["--data-dir", str(data), "site", "list"], catch_exceptions=False)
    assert listed.exit_code == 0
    assert "[/red]" in listed.output
    assert not set(listed.output) & set("\x1b\x07\x9b\r\u202e")


def test_a_refusal_by_whoever_answers_cannot_steer_the_terminal() -> None:
    body = b'{"title": "\\u001b[2J", "detail": "\\u202e\\u009b", "remedy": "\\u0007\\u0000"}'
    problem = read_problem(Response(403, body, {}))
    assert all(map(str.isprintable, (problem.title, problem.detail, problem.remedy)))


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("Größe\t20 °C\n温度 🙂") == "Größe\t20 °C\n温度 🙂"
    assert printable(HOSTILE) == "\ufffd]0;owned\ufffd[/red]\ufffd[bold]\ufffd2J\ufffd\ufffd"


def test_an_error_of_the_database_does_not_show_what_was_to_be_stored(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'hub.db'}")
    with pytest.raises(DBAPIError) as failed, writing(engine) as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "canary-7f3a"})
    engine.dispose()
    assert "nowhere" in str(failed.value)
    assert "canary-7f3a" not in str(failed.value)


def test_a_request_leaves_no_line_of_its_own_making_in_the_log(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # A refusal for want of rights is what the hub itself writes of; it writes first and answers then.
    for method, path in (("POST", "/v1/sites/a%0d%0aINFO%20forged/revoke"), ("POST", "/v1/sites/%1b%5b2J/token")):
        assert hub.ask(method, path, role=Role.VIEWER).status == HTTPStatus.FORBIDDEN
    refusals = [message for message in caplog.messages if message.startswith("refused")]
    assert len(refusals) == 2
    assert all(map(str.isprintable, caplog.messages))
