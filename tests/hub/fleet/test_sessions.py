"""Sessions at the page: opened with a token, ended by signing out, by time, or with the token."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from farshore_hub.errors import Unauthenticated
from farshore_hub.fleet import api_tokens, sessions
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.context import Fleet
from tests.hub.fleet.site import TurnableClock


@pytest.fixture
def token(fleet: Fleet) -> str:
    return api_tokens.add(fleet, "ada", Role.OPERATOR)


def test_a_session_is_its_tokens(fleet: Fleet, token: str) -> None:
    secret = sessions.open_session(fleet, token).secret
    found = sessions.session_of(fleet, secret)
    assert (found.name, found.role) == ("ada", Role.OPERATOR)
    assert found.form_token != secret


def test_a_token_that_is_none_opens_nothing(fleet: Fleet, token: str) -> None:
    for wrong in ("", "fsh_wrong", token[:-1]):
        with pytest.raises(Unauthenticated):
            sessions.open_session(fleet, wrong)


def test_the_secret_is_not_kept(fleet: Fleet, token: str) -> None:
    secret = sessions.open_session(fleet, token).secret
    with fleet.engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM hub_meta")).all())
    assert secret not in kept
    assert "session." in kept


def test_a_session_ends_with_its_token(fleet: Fleet, token: str) -> None:
    secret = sessions.open_session(fleet, token).secret
    api_tokens.revoke(fleet, "ada")
    with pytest.raises(Unauthenticated, match="revoked"):
        sessions.session_of(fleet, secret)
    with pytest.raises(Unauthenticated):
        sessions.open_session(fleet, token)


def test_a_session_ends_when_somebody_signs_out_and_others_go_on(fleet: Fleet, token: str) -> None:
    one, other = (sessions.open_session(fleet, token).secret for _ in range(2))
    sessions.close_session(fleet, one)
    with pytest.raises(Unauthenticated):
        sessions.session_of(fleet, one)
    assert sessions.session_of(fleet, other).name == "ada"


def test_a_session_ends_by_itself(fleet: Fleet, clock: TurnableClock, token: str) -> None:
    secret = sessions.open_session(fleet, token).secret
    clock.us += (sessions.LIFE_S - 1) * 1_000_000
    assert sessions.session_of(fleet, secret).name == "ada"
    clock.us += 1_000_000
    with pytest.raises(Unauthenticated, match="has ended"):
        sessions.session_of(fleet, secret)


def test_what_has_ended_is_forgotten_and_a_token_has_so_many_sessions(
    fleet: Fleet, clock: TurnableClock, token: str
) -> None:
    opened = []
    for _ in range(sessions.MAX_OF_TOKEN + 3):
        opened.append(sessions.open_session(fleet, token).secret)
        clock.us += 1_000_000
    for secret in opened[:3]:
        with pytest.raises(Unauthenticated):
            sessions.session_of(fleet, secret)
    assert sessions.session_of(fleet, opened[3]).name == "ada"
    clock.turn_days(1)
    last = sessions.open_session(fleet, token).secret
    with fleet.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM hub_meta")).scalar() == 1
    assert sessions.session_of(fleet, last).name == "ada"


def test_another_tokens_sessions_are_left_alone(fleet: Fleet, token: str) -> None:
    other = sessions.open_session(fleet, api_tokens.add(fleet, "bob", Role.VIEWER)).secret
    for _ in range(sessions.MAX_OF_TOKEN + 1):
        sessions.open_session(fleet, token)
    assert sessions.session_of(fleet, other).name == "bob"
