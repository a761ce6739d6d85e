"""Tokens for people and scripts: shown once, kept as a hash, each with one role."""

from __future__ import annotations

import base64
import enum
import hmac
import re
from typing import Final

from sqlalchemy.exc import IntegrityError

from farshore_hub.errors import Conflict, Invalid, Unauthenticated, Unknown
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.sites import hash_of
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import ApiToken

PREFIX: Final = "fsh_"
SECRET_BYTES: Final = 24
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


class Role(enum.StrEnum):
    """What the bearer of a token may do. Each may do what those before it may."""

    VIEWER = "viewer"
    """Read: sites, completeness, records, metrics."""
    OPERATOR = "operator"
    """Add sites and give out join tokens; configure and command sites."""
    ADMIN = "admin"
    """Shut sites out."""

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


def add(fleet: Fleet, name: str, role: Role) -> str:
    """Make a token and return it; it cannot be shown again.

    Raises:
        Invalid: the name is not allowed.
        Conflict: there is one of that name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name[:80]!r} is not a token name: use 1 to 63 letters, digits and '._@-'")
    token = PREFIX + base64.urlsafe_b64encode(fleet.random.token(SECRET_BYTES)).decode()
    try:
        with writing(fleet.engine) as connection:
            store.insert_api_token(connection, hash_of(token.encode()), name, role, fleet.clock.now_us())
    except IntegrityError:
        raise Conflict(
            f"there is a token {name!r} already", remedy="choose another name; a revoked one's stays taken"
        ) from None
    return token


def listing(fleet: Fleet) -> list[ApiToken]:
    """All tokens by name, the revoked ones too."""
    with reading(fleet.engine) as connection:
        return store.all_api_tokens(connection)


def revoke(fleet: Fleet, name: str) -> None:
    """Make a token worthless, at once.

    Raises:
        Unknown: there is none of that name.
    """
    with writing(fleet.engine) as connection:
        if not store.revoke_api_token(connection, name, fleet.clock.now_us()):
            raise Unknown(f"there is no token {name[:80]!r}", remedy="'farshore-hub token list' shows all of them")


def role_of(fleet: Fleet, token: str) -> Role:
    """The role of a token's bearer.

    Raises:
        Unauthenticated: unknown or revoked.
    """
    return Role(_known(fleet, token).role)


def name_of(fleet: Fleet, token: str) -> str:
    """The name that a token was given.

    Raises:
        Unauthenticated: unknown or revoked.
    """
    return _known(fleet, token).name


def _known(fleet: Fleet, token: str) -> ApiToken:
    token_hash = hash_of(token.encode())
    with reading(fleet.engine) as connection:
        known = store.find_api_token(connection, token_hash)
    if known is None or known.revoked_us is not None or not hmac.compare_digest(known.hash, token_hash):
        raise Unauthenticated("this token is not known here", remedy="ask an admin: farshore-hub token add NAME")
    return known
