"""SQL of the fleet: sites, join tokens, certificates and API tokens. Each function runs in the caller's transaction."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from farshore_hub.store.dialect import locked
from farshore_hub.store.schema import api_tokens, certificates, join_tokens, sites

_STAMP: Final = 2_147_483_647

MAX_CERTIFICATES: Final = 8
"""Certificates of one site that are good at a time: a site that renews again and again does not fill the table."""


class SiteState(enum.StrEnum):
    """What a site may do."""

    PENDING = "pending"
    """It has a join token and no certificate yet."""
    ACTIVE = "active"
    """It has enrolled."""
    REVOKED = "revoked"
    """Nothing that it sends is taken."""


@dataclass(frozen=True, slots=True)
class Site:
    """A row of `sites`. Times are microseconds since 1970, None for never.

    Attributes:
        heard: number of its newest report on its orders; 0: it is to introduce itself.
        has_orders: there are some that it has not reported on.
    """

    id: int
    name: str
    state: SiteState
    signing_key: bytes | None
    created_us: int
    enrolled_us: int | None
    revoked_us: int | None
    last_seen_us: int | None
    clock_offset_us: int | None
    agent_version: str | None
    heard: int = 0
    has_orders: bool = False


@dataclass(frozen=True, slots=True)
class JoinTokenRow:
    """A row of `join_tokens`."""

    site_id: int
    expires_us: int
    used_us: int | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the hub issued, and the site it belongs to."""

    site: str
    state: SiteState
    not_after_us: int


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A row of `api_tokens`."""

    hash: bytes
    name: str
    role: str
    created_us: int
    revoked_us: int | None


_SITE = (
    sites.c.id,
    sites.c.name,
    sites.c.state,
    sites.c.signing_key,
    sites.c.created_us,
    sites.c.enrolled_us,
    sites.c.revoked_us,
    sites.c.last_seen_us,
    sites.c.clock_offset_us,
    sites.c.agent_version,
    sites.c.heard,
    sites.c.has_orders,
)
_NAMED_SITES: Final = select(*_SITE).where(sites.c.name.in_(bindparam("names", expanding=True)))
_CERTIFICATES: Final = (
    select(certificates.c.serial, sites.c.name, sites.c.state, certificates.c.not_after_us)
    .join_from(certificates, sites, certificates.c.site_id == sites.c.id)
    .where(certificates.c.serial.in_(bindparam("serials", expanding=True)))
)
_TOKEN = (
    api_tokens.c.hash,
    api_tokens.c.name,
    api_tokens.c.role,
    api_tokens.c.created_us,
    api_tokens.c.revoked_us,
)


def find_site(connection: Connection, name: str) -> Site | None:
    """The site of that name."""
    row = connection.execute(select(*_SITE).where(sites.c.name == name)).one_or_none()
    return _site(row) if row else None


def find_sites(connection: Connection, names: Iterable[str]) -> dict[str, Site]:
    """The sites of these names, those that there are."""
    wanted = sorted(set(names))
    rows = connection.execute(_NAMED_SITES, {"names": wanted}) if wanted else ()
    return {row.name: _site(row) for row in rows}


def claim_site(connection: Connection, name: str) -> Site | None:
    """The site of that name, which nobody else changes before this transaction ends.

    Whoever changes a site's state, key, tokens or certificates claims it first: so they stand in line.
    """
    row = connection.execute(locked(connection, select(*_SITE).where(sites.c.name == name))).one_or_none()
    return _site(row) if row else None


def all_sites(connection: Connection) -> list[Site]:
    """Every site, by name."""
    return [_site(row) for row in connection.execute(select(*_SITE).order_by(sites.c.name))]


def heard_sites(connection: Connection) -> list[tuple[str, int | None, int | None]]:
    """Of every site, by name: its name, when it was heard last, and when it was revoked."""
    query = select(sites.c.name, sites.c.last_seen_us, sites.c.revoked_us).order_by(sites.c.name)
    return [(name, heard_us, revoked_us) for name, heard_us, revoked_us in connection.execute(query).all()]


def stamp(connection: Connection) -> tuple[int, ...]:
    """Another one as soon as a site was added, has joined or was revoked, by whatever process."""
    # Of times as they are five thousand make a sum that SQLite refuses.
    enrolled, revoked = (func.sum(column % _STAMP) for column in (sites.c.enrolled_us, sites.c.revoked_us))
    figures = (func.count(), enrolled, revoked)
    return tuple(int(each or 0) for each in connection.execute(select(*figures).select_from(sites)).one())


def names_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """The names of these sites by id."""
    rows = connection.execute(select(sites.c.id, sites.c.name).where(sites.c.id.in_(sorted(set(ids)))))
    return {row.id: row.name for row in rows}


def insert_site(connection: Connection, name: str, created_us: int) -> int:
    """Add a pending site and return its id; an `IntegrityError` where the name is taken."""
    added = connection.execute(
        insert(sites).values(name=name, state=SiteState.PENDING.value, created_us=created_us).returning(sites.c.id)
    )
    return int(added.scalar_one())


def activate_site(connection: Connection, site_id: int, signing_key: bytes, enrolled_us: int) -> None:
    """Note that a site has joined, with the signing key that it has from now on."""
    change = update(sites).where(sites.c.id == site_id)
    connection.execute(
        change.values(state=SiteState.ACTIVE.value, signing_key=signing_key, enrolled_us=enrolled_us, revoked_us=None)
    )


def revoke_site(connection: Connection, site_id: int, revoked_us: int) -> None:
    """Note that a site is shut out; the time of the first revocation stays."""
    first = func.coalesce(sites.c.revoked_us, revoked_us)
    change = update(sites).where(sites.c.id == site_id)
    connection.execute(change.values(state=SiteState.REVOKED.value, revoked_us=first))


def insert_join_token(connection: Connection, secret_hash: bytes, site_id: int, expires_us: int) -> None:
    """Keep a new join token's hash."""
    row = {"secret_hash": secret_hash, "site_id": site_id, "expires_us": expires_us}
    connection.execute(insert(join_tokens).values(row))


def find_join_token(connection: Connection, secret_hash: bytes) -> JoinTokenRow | None:
    """The join token with that hash."""
    columns = (join_tokens.c.site_id, join_tokens.c.expires_us, join_tokens.c.used_us)
    row = connection.execute(select(*columns).where(join_tokens.c.secret_hash == secret_hash)).one_or_none()
    return JoinTokenRow(*row) if row else None


def use_join_token(connection: Connection, secret_hash: bytes, used_us: int) -> bool:
    """Mark a join token as used; False where somebody was first."""
    unused = update(join_tokens).where(join_tokens.c.secret_hash == secret_hash, join_tokens.c.used_us.is_(None))
    return connection.execute(unused.values(used_us=used_us)).rowcount == 1


def delete_unused_join_tokens(connection: Connection, site_id: int) -> None:
    """Make a site's outstanding join tokens worthless."""
    connection.execute(delete(join_tokens).where(join_tokens.c.site_id == site_id, join_tokens.c.used_us.is_(None)))


def insert_certificate(connection: Connection, serial: str, site_id: int, issued_us: int, not_after_us: int) -> None:
    """Note a certificate that was issued; of those before it the newest stay, `MAX_CERTIFICATES` with it."""
    of_site = select(certificates.c.serial).where(certificates.c.site_id == site_id)
    newest = of_site.order_by(certificates.c.issued_us.desc(), certificates.c.serial).limit(MAX_CERTIFICATES - 1)
    older = delete(certificates).where(certificates.c.site_id == site_id, certificates.c.serial.not_in(newest))
    connection.execute(older)
    row = {"serial": serial, "site_id": site_id, "issued_us": issued_us, "not_after_us": not_after_us}
    connection.execute(insert(certificates).values(row))


def delete_certificates(connection: Connection, site_id: int) -> None:
    """Forget a site's certificates: a certificate whose serial is not known is worth nothing."""
    connection.execute(delete(certificates).where(certificates.c.site_id == site_id))


def find_certificates(connection: Connection, serials: Iterable[str]) -> dict[str, Certificate]:
    """The certificates with these serials, those that there are, by serial; each with its site's state."""
    rows = connection.execute(_CERTIFICATES, {"serials": sorted(set(serials))})
    return {serial: Certificate(name, SiteState(state), not_after_us) for serial, name, state, not_after_us in rows}


def count_certificates(connection: Connection, site_id: int) -> int:
    """How many certificates of a site are known."""
    count = select(func.count()).select_from(certificates).where(certificates.c.site_id == site_id)
    return int(connection.execute(count).scalar_one())


def last_certificate_end(connection: Connection, site_id: int) -> int | None:
    """When the last of a site's certificates ends, in microseconds since 1970."""
    ends = select(func.max(certificates.c.not_after_us)).where(certificates.c.site_id == site_id)
    last: int | None = connection.execute(ends).scalar_one()
    return last


def insert_api_token(connection: Connection, token_hash: bytes, name: str, role: str, created_us: int) -> None:
    """Keep a new API token's hash; an `IntegrityError` where the name is taken."""
    row = {"hash": token_hash, "name": name, "role": role, "created_us": created_us}
    connection.execute(insert(api_tokens).values(row))


def find_api_token(connection: Connection, token_hash: bytes) -> ApiToken | None:
    """The API token with that hash."""
    row = connection.execute(select(*_TOKEN).where(api_tokens.c.hash == token_hash)).one_or_none()
    return ApiToken(*row) if row else None


def all_api_tokens(connection: Connection) -> list[ApiToken]:
    """Every API token, by name."""
    return [ApiToken(*row) for row in connection.execute(select(*_TOKEN).order_by(api_tokens.c.name))]


def revoke_api_token(connection: Connection, name: str, revoked_us: int) -> bool:
    """Mark an API token as revoked; False where there is none of that name."""
    first = func.coalesce(api_tokens.c.revoked_us, revoked_us)
    return (
        connection.execute(update(api_tokens).where(api_tokens.c.name == name).values(revoked_us=first)).rowcount == 1
    )


def delete_api_token(connection: Connection, name: str) -> None:
    """Forget an API token that nobody was ever told."""
    connection.execute(delete(api_tokens).where(api_tokens.c.name == name))


def _site(row: Row[*tuple[Any, ...]]) -> Site:
    values = row._asdict()
    return Site(**values | {"state": SiteState(values["state"])})
