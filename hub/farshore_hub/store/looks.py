"""What a look at the whole fleet reads: a few set-wise queries, whose rows are only what may be told.

Each function runs in the caller's transaction. Revoked sites say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Double, cast, func, select

from farshore_hub.store.fleet import SiteState
from farshore_hub.store.schema import accounts, forks, receipts, sites

_ACTIVE: Final = sites.c.state == SiteState.ACTIVE.value
_LAST_SEEN: Final = func.coalesce(sites.c.last_seen_us, sites.c.enrolled_us)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Records of one stream of a site that were given up for one reason."""

    site: str
    stream: str
    reason: str
    records: float
    latest_us: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Batches of one stream of a site that were kept aside."""

    site: str
    stream: str
    batches: int
    latest_us: int


def unheard_since(connection: Connection, before_us: int) -> list[tuple[str, int]]:
    """Active sites that were last heard before that time, or never since they enrolled; and when."""
    query = select(sites.c.name, _LAST_SEEN).where(_ACTIVE, before_us > _LAST_SEEN)
    return [(name, int(heard_us)) for name, heard_us in connection.execute(query)]


def wrong_clocks(connection: Connection, from_us: float) -> list[tuple[str, int]]:
    """Active sites whose clock is off by so much, and the offset: theirs minus the hub's."""
    query = select(sites.c.name, sites.c.clock_offset_us)
    found = connection.execute(query.where(_ACTIVE, func.abs(sites.c.clock_offset_us) >= from_us))
    return [(name, int(offset_us)) for name, offset_us in found]


def given_up_since(connection: Connection, since_us: int) -> list[GivenUp]:
    """What the hub heard was given up since then."""
    # As a float: sites state what they like, and a sum of integers may overflow.
    records = func.sum(cast(receipts.c.last - receipts.c.first + 1, Double))
    by = (sites.c.name, accounts.c.stream, receipts.c.reason)
    joined = receipts.join(accounts, accounts.c.id == receipts.c.account_id).join(
        sites, sites.c.id == accounts.c.site_id
    )
    query = select(*by, records, func.max(receipts.c.received_us)).select_from(joined)
    return [GivenUp(*row) for row in connection.execute(query.where(receipts.c.received_us >= since_us).group_by(*by))]


def forked_since(connection: Connection, since_us: int) -> list[Forked]:
    """What was kept aside since then, because its range was stored with other content."""
    by = (sites.c.name, accounts.c.stream)
    joined = forks.join(accounts, accounts.c.id == forks.c.account_id).join(sites, sites.c.id == accounts.c.site_id)
    query = select(*by, func.count(), func.max(forks.c.received_us)).select_from(joined)
    return [Forked(*row) for row in connection.execute(query.where(forks.c.received_us >= since_us).group_by(*by))]


def active_sites(connection: Connection) -> list[str]:
    """The names of all sites that have enrolled and are not revoked."""
    return list(connection.scalars(select(sites.c.name).where(_ACTIVE).order_by(sites.c.name)))
