"""SQL of rollouts and their sites."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, exists, func, insert, select, update

from farshore_hub.store.dialect import insert_missing, locked
from farshore_hub.store.schema import hub_meta, orders, rollout_sites, rollouts, site_reports, sites


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A rollout. `strategy` is JSON; times are microseconds since 1970."""

    id: int
    revision: int
    state: str
    strategy: str
    stage: int
    stage_us: int
    made_us: int
    made_by: str
    ended_us: int | None
    why: str


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A site in a rollout, with what became of its order there and when it was heard.

    Attributes:
        state: waiting, same, invalid or ordered.
        problems: why its settings are invalid.
        gaps: records that were missing when it was ordered.
        is_introduced: it can be ordered something.
    """

    site_id: int
    site: str
    stage: int
    state: str
    problems: list[str]
    gaps: int
    heard_us: int | None
    is_introduced: bool
    ordered_us: int | None
    order_state: str | None
    outcome: str | None
    text: str
    settled_us: int | None


_COLUMNS: Final = tuple(rollouts.c[name] for name in RolloutRow.__dataclass_fields__)
_LOCK: Final = "rollouts"
_LIVE: Final = ("running", "paused", "halted")


def add(connection: Connection, values: dict[str, Any], stages: Sequence[tuple[int, int]]) -> int:
    """Begin a rollout with its sites, given as id and stage; return its number."""
    number = int(connection.execute(insert(rollouts).values(values).returning(rollouts.c.id)).scalar_one())
    add_members(connection, number, stages)
    return number


def add_members(connection: Connection, number: int, stages: Sequence[tuple[int, int]]) -> None:
    """Add sites, given as id and stage; those that take part already stay as they are."""
    fixed = {"rollout_id": number, "state": "waiting", "problems": "[]", "gaps": 0}
    insert_missing(connection, rollout_sites, [fixed | {"site_id": site, "stage": stage} for site, stage in stages])


def find(connection: Connection, number: int, *, lock: bool = False) -> RolloutRow | None:
    """The rollout of that number; with `lock` nobody else changes it before this transaction ends."""
    query = select(*_COLUMNS).where(rollouts.c.id == number)
    row = connection.execute(locked(connection, query) if lock else query).one_or_none()
    return RolloutRow(*row) if row else None


def lock(connection: Connection) -> None:
    """Let nobody else begin a rollout before this transaction ends."""
    insert_missing(connection, hub_meta, [{"key": _LOCK, "value": b""}])
    connection.execute(locked(connection, select(hub_meta.c.key).where(hub_meta.c.key == _LOCK))).all()


def live(connection: Connection) -> RolloutRow | None:
    """The rollout that is not over."""
    query = select(*_COLUMNS).where(rollouts.c.state.in_(_LIVE)).order_by(rollouts.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return RolloutRow(*row) if row else None


def base(connection: Connection) -> RolloutRow | None:
    """The newest rollout that came to its end: what sites have that take part in none."""
    number = select(func.max(rollouts.c.id)).where(rollouts.c.state == "done").scalar_subquery()
    row = connection.execute(select(*_COLUMNS).where(rollouts.c.id == number)).one_or_none()
    return RolloutRow(*row) if row else None


def listed(connection: Connection, limit: int) -> list[RolloutRow]:
    """The newest rollouts."""
    return [
        RolloutRow(*row) for row in connection.execute(select(*_COLUMNS).order_by(rollouts.c.id.desc()).limit(limit))
    ]


def change(connection: Connection, number: int, values: dict[str, Any]) -> None:
    """Set columns of a rollout."""
    connection.execute(update(rollouts).where(rollouts.c.id == number).values(values))


def members(connection: Connection, number: int) -> list[MemberRow]:
    """The sites of a rollout, by stage and name."""
    newest = (
        select(orders.c.site_id, func.max(orders.c.id).label("id"))
        .where(orders.c.rollout_id == number)
        .group_by(orders.c.site_id)
        .subquery()
    )
    c, o, r = rollout_sites.c, orders.c, site_reports.c
    introduced = r.introduced.is_not(None) & (r.introduced == r.schema)
    of_order = (o.made_us.label("ordered_us"), o.state.label("order_state"), o.outcome, o.text, o.settled_us)
    of_site = (sites.c.name.label("site"), sites.c.last_seen_us.label("heard_us"), introduced.label("is_introduced"))
    columns = (c.site_id, c.stage, c.state, c.problems, c.gaps, *of_site, *of_order)
    joined = (
        rollout_sites.join(sites, sites.c.id == c.site_id)
        .outerjoin(site_reports, r.site_id == c.site_id)
        .outerjoin(newest, newest.c.site_id == c.site_id)
        .outerjoin(orders, o.id == newest.c.id)
    )
    query = select(*columns)
    query = query.select_from(joined).where(c.rollout_id == number, sites.c.state == "active")
    return [_member(row._asdict()) for row in connection.execute(query.order_by(c.stage, sites.c.name))]


def _member(values: dict[str, Any]) -> MemberRow:
    held = {"problems": json.loads(values["problems"]), "is_introduced": bool(values["is_introduced"])}
    return MemberRow(**values | held | {"text": values["text"] or ""})


def due(connection: Connection, number: int, stage: int, limit: int) -> list[int]:
    """Ids of sites of a rollout that wait for their order, have introduced themselves, and whose stage has come."""
    c, r = rollout_sites.c, site_reports.c
    joined = rollout_sites.join(site_reports, and_(r.site_id == c.site_id, r.introduced == r.schema))
    query = select(c.site_id).select_from(joined.join(sites, sites.c.id == c.site_id))
    query = query.where(c.rollout_id == number, c.state == "waiting", c.stage <= stage, sites.c.state == "active")
    return list(connection.scalars(query.order_by(c.stage, c.site_id).limit(limit)))


def newcomers(connection: Connection, number: int, limit: int) -> list[int]:
    """Ids of sites that have introduced themselves and take no part in that rollout."""
    r = site_reports.c
    takes_part = exists().where(rollout_sites.c.rollout_id == number, rollout_sites.c.site_id == r.site_id)
    return list(connection.scalars(select(r.site_id).where(r.introduced == r.schema, ~takes_part).limit(limit)))


def mark(
    connection: Connection,
    number: int,
    site_ids: Collection[int],
    state: str,
    *,
    problems: Sequence[str] = (),
    gaps: int = 0,
) -> None:
    """Note what became of sites."""
    if site_ids:
        where = (rollout_sites.c.rollout_id == number, rollout_sites.c.site_id.in_(sorted(site_ids)))
        values = {"state": state, "problems": json.dumps(list(problems)), "gaps": gaps}
        connection.execute(update(rollout_sites).where(*where).values(values))


def wait_again(connection: Connection, site_id: int) -> None:
    """Have a site that has joined anew be ordered once more."""
    mine = update(rollout_sites).where(rollout_sites.c.site_id == site_id)
    connection.execute(mine.values(state="waiting", problems="[]"))
