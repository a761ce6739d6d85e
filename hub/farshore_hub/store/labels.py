"""SQL of what an operator says of sites: labels, by which groups of the fleet are chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select

from farshore_hub.store.dialect import upsert
from farshore_hub.store.schema import site_labels, sites


def all_labels(connection: Connection) -> dict[str, dict[str, str]]:
    """The labels of every site that has any, by the site's name."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    query = select(sites.c.name, site_labels.c.key, site_labels.c.value).join_from(site_labels, sites)
    for name, key, value in connection.execute(query.order_by(site_labels.c.key)):
        found[name][key] = value
    return dict(found)


def labels_of(connection: Connection, site_id: int) -> dict[str, str]:
    """The labels of one site."""
    query = select(site_labels.c.key, site_labels.c.value).where(site_labels.c.site_id == site_id)
    return {key: value for key, value in connection.execute(query.order_by(site_labels.c.key))}  # noqa: C416 - rows


def set_labels(connection: Connection, site_id: int, labels: Mapping[str, str], gone: Collection[str]) -> None:
    """Set some labels of a site, and take others away."""
    if gone:
        old = delete(site_labels).where(site_labels.c.site_id == site_id, site_labels.c.key.in_(sorted(gone)))
        connection.execute(old)
    rows = [{"site_id": site_id, "key": key, "value": value} for key, value in labels.items()]
    upsert(connection, site_labels, rows, ["value"])
