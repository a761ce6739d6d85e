"""Sessions of people at the page: opened with an API token, ended by signing out, by time, or with the token.

A session is a random secret that the browser keeps; the hub keeps its hash, like a token's. What its bearer may do is
looked up anew with every request: it is what the token may do at that moment.
"""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from dataclasses import dataclass
from typing import Final

from farshore_hub.errors import Unauthenticated
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.sites import hash_of
from farshore_hub.store import fleet as tokens
from farshore_hub.store import sessions as store
from farshore_hub.store.engine import reading, writing

LIFE_S: Final = 12 * 3600
"""A working day. Whoever stays longer signs in again."""

MAX_OF_TOKEN: Final = 20
"""Sessions of one token at a time; the oldest ends when one more is opened."""

_SECRET_BYTES: Final = 32
_MAX_SECRET_CHARS: Final = 64
_FORM_PURPOSE: Final = b"farshore form"
_REMEDY: Final = "sign in again"


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in.

    Attributes:
        secret: what the browser keeps.
        name: of the API token.
        role: what its bearer may do.
    """

    secret: str
    name: str
    role: Role

    @property
    def form_token(self) -> str:
        """What a form of the page bears, and no other page knows: derived from the secret, and not the secret."""
        return hmac.new(self.secret.encode(), _FORM_PURPOSE, "sha256").hexdigest()


def open_session(fleet: Fleet, token: str) -> Session:
    """Sign in with an API token.

    Raises:
        Unauthenticated: it is unknown or revoked.
    """
    token_hash, now_us = hash_of(token.encode()), fleet.clock.now_us()
    secret = base64.urlsafe_b64encode(fleet.random.token(_SECRET_BYTES)).decode().rstrip("=")
    with writing(fleet.engine) as connection:
        known = tokens.find_api_token(connection, token_hash)
        if known is None or known.revoked_us is not None:
            raise Unauthenticated("this token is not known here", remedy="ask an admin: farshore-hub token add NAME")
        store.delete_sessions(connection, _ending(store.all_sessions(connection), token_hash, now_us))
        store.insert_session(connection, hash_of(secret.encode()), token_hash, now_us + LIFE_S * 1_000_000)
    return Session(secret, known.name, Role(known.role))


def session_of(fleet: Fleet, secret: str) -> Session:
    """Whose session that is.

    Raises:
        Unauthenticated: it is unknown, has ended, or its token was revoked.
    """
    if len(secret) > _MAX_SECRET_CHARS:
        raise Unauthenticated("this session is not known here", remedy=_REMEDY)
    with reading(fleet.engine) as connection:
        found = store.find_session(connection, hash_of(secret.encode()))
        token = tokens.find_api_token(connection, found.token_hash) if found else None
    if found is None or found.expires_us <= fleet.clock.now_us():
        raise Unauthenticated("this session has ended", remedy=_REMEDY)
    if token is None or token.revoked_us is not None:
        raise Unauthenticated("the token of this session was revoked", remedy="ask an admin for another one")
    return Session(secret, token.name, Role(token.role))


def close_session(fleet: Fleet, secret: str) -> None:
    """Sign out: the secret is worthless from now on."""
    with writing(fleet.engine) as connection:
        store.delete_session(connection, hash_of(secret.encode()))


def _ending(known: list[store.SessionRow], token_hash: bytes, now_us: int) -> list[store.SessionRow]:
    """Those that have expired, and the oldest of a token that has as many as it may."""
    of_token = Counter(each.token_hash for each in known)[token_hash]
    ending = []
    for each in known:
        crowded = each.token_hash == token_hash and of_token >= MAX_OF_TOKEN
        if each.expires_us <= now_us or crowded:
            ending.append(each)
            of_token -= each.token_hash == token_hash
    return ending
