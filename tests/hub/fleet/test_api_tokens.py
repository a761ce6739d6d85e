"""Tokens for people and scripts."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from farshore_hub.errors import Conflict, Invalid, Unauthenticated, Unknown
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.context import Fleet


@pytest.mark.parametrize("role", list(Role))
def test_a_token_has_the_role_it_was_made_with(fleet: Fleet, role: Role) -> None:
    assert api_tokens.role_of(fleet, api_tokens.add(fleet, "grafana", role)) is role


def test_each_role_covers_those_below_it() -> None:
    covered = {role: [str(needed) for needed in Role if role.covers(needed)] for role in Role}
    assert covered == {
        Role.VIEWER: ["viewer"],
        Role.OPERATOR: ["viewer", "operator"],
        Role.ADMIN: ["viewer", "operator", "admin"],
    }


def test_a_revoked_token_is_worthless_at_once_and_its_name_stays_taken(fleet: Fleet) -> None:
    token = api_tokens.add(fleet, "grafana", Role.VIEWER)
    api_tokens.revoke(fleet, "grafana")
    with pytest.raises(Unauthenticated):
        api_tokens.role_of(fleet, token)
    with pytest.raises(Conflict):
        api_tokens.add(fleet, "grafana", Role.VIEWER)


def test_a_token_itself_is_not_kept(fleet: Fleet) -> None:
    token = api_tokens.add(fleet, "grafana", Role.VIEWER)
    with fleet.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM api_tokens")).all()
    assert token not in str(rows)
    assert [(kept.name, kept.role) for kept in api_tokens.listing(fleet)] == [("grafana", "viewer")]


@pytest.mark.parametrize("name", ["", " ", "a b", "a" * 64, "ä", "-a"])
def test_a_bad_token_name_is_refused(fleet: Fleet, name: str) -> None:
    with pytest.raises(Invalid):
        api_tokens.add(fleet, name, Role.VIEWER)


def test_an_unknown_token_is_refused(fleet: Fleet) -> None:
    with pytest.raises(Unauthenticated):
        api_tokens.role_of(fleet, "fsh_nobody")
    with pytest.raises(Unknown):
        api_tokens.revoke(fleet, "nobody")
