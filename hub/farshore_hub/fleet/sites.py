"""Sites: added with a one-use join token, listed, revoked.

A site is *pending* until it enrolled, then *active*, then perhaps *revoked*. A revoked site comes back only by
enrolling anew, with a token that was made after the revocation; its old certificates stay worthless.
"""

from __future__ import annotations

import hashlib
import logging

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from farshore_hub.errors import Conflict, Invalid, Unknown
from farshore_hub.fleet.context import Fleet
from farshore_hub.store import fleet as store
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.fleet import Site
from farshore_protocol.enrolment import SECRET_BYTES, JoinToken, write_token
from farshore_protocol.names import BadName, check_site

_log = logging.getLogger(__name__)


def add(fleet: Fleet, name: str, token_life_s: int) -> str:
    """Add a site and return its join token.

    Raises:
        Invalid: the name is not allowed.
        Conflict: there is one already.
    """
    _check_name(name)
    try:
        with writing(fleet.engine) as connection:
            site_id = store.insert_site(connection, name, fleet.clock.now_us())
            return _new_token(fleet, connection, name, site_id, token_life_s)
    except IntegrityError:
        raise Conflict(
            f"there is a site {name!r} already", remedy=f"for another join token: farshore-hub site token {name}"
        ) from None


def fresh_token(fleet: Fleet, name: str, token_life_s: int) -> str:
    """A new join token for a site that is known; earlier unused ones stop working.

    The site stays what it is until the token is used. Then its signing key and its certificates are replaced.

    Raises:
        Invalid, Unknown: there is no such site.
    """
    _check_name(name)
    with writing(fleet.engine) as connection:
        site = _claimed(connection, name)
        store.delete_unused_join_tokens(connection, site.id)
        return _new_token(fleet, connection, name, site.id, token_life_s)


def listing(fleet: Fleet) -> list[Site]:
    """All sites by name."""
    with reading(fleet.engine) as connection:
        return store.all_sites(connection)


def find(fleet: Fleet, name: str) -> Site:
    """The site of that name.

    Raises:
        Invalid, Unknown: there is none.
    """
    _check_name(name)
    with reading(fleet.engine) as connection:
        return _known(connection, name)


def revoke(fleet: Fleet, name: str) -> Site:
    """Shut a site out, at once. What it has delivered stays.

    Raises:
        Invalid, Unknown: there is no such site.
    """
    _check_name(name)
    with writing(fleet.engine) as connection:
        site = _claimed(connection, name)
        store.revoke_site(connection, site.id, fleet.clock.now_us())
        store.delete_unused_join_tokens(connection, site.id)
        store.delete_certificates(connection, site.id)
        revoked = _known(connection, name)
    _log.info("site %s is revoked", name)
    return revoked


def hash_of(secret: bytes) -> bytes:
    """What is stored of a secret. It has 128 random bits or more, so that a plain hash is enough."""
    return hashlib.sha256(secret).digest()


def _check_name(name: str) -> None:
    try:
        check_site(name)
    except BadName as error:
        raise Invalid(str(error)) from None


def _new_token(fleet: Fleet, connection: Connection, name: str, site_id: int, life_s: int) -> str:
    secret = fleet.random.token(SECRET_BYTES)
    store.insert_join_token(connection, hash_of(secret), site_id, fleet.clock.now_us() + life_s * 1_000_000)
    return write_token(JoinToken(fleet.addresses, name, secret, fleet.keys.ca.sha256))


def _known(connection: Connection, name: str) -> Site:
    return _found(store.find_site(connection, name), name)


def _claimed(connection: Connection, name: str) -> Site:
    return _found(store.claim_site(connection, name), name)


def _found(site: Site | None, name: str) -> Site:
    if site is None:
        raise Unknown(f"there is no site {name[:80]!r}", remedy="'farshore-hub site list' shows all of them")
    return site
