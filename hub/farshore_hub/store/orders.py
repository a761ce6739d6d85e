"""SQL of orders: what sites were told to do, until they have reported on it and after. In the caller's transaction.

Of each site at most one order of a kind is *open*: sealed, numbered, to be told. `sites.has_orders` says that there is
one, so that the path of parcels looks for orders only where there are some. Whoever changes a site's orders has
claimed the site (`store.fleet.claim_site`, `store.inbox.lock_sites`).
"""

from __future__ import annotations

import enum
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, delete, exists, func, insert, or_, select, update

from farshore_hub.store.schema import orders, sites

_CHUNK: Final = 500
"""Sites named in one statement; SQLite takes 32,766 values."""

_MAX_RESENDS: Final = 500


class OrderKind(enum.StrEnum):
    """What an order wants."""

    SETTINGS = "settings"
    COMMAND = "command"


class OrderState(enum.StrEnum):
    """How far an order is."""

    WAITING = "waiting"
    """A command behind another one."""
    OPEN = "open"
    """To be told to the site, which has not reported on it."""
    PROBING = "probing"
    """Settings that the site watches itself under."""
    SETTLED = "settled"
    """Nothing more will become of it."""


class Ending(enum.StrEnum):
    """What became of a settled order."""

    KEPT = "kept"
    REFUSED = "refused"
    ROLLED_BACK = "rolled-back"
    REPLACED = "replaced"
    """Newer settings came before the site had reported on these."""
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    LOST = "lost"
    """The site has joined anew and cannot read it, has seen a newer one that this hub has forgotten, or was trying it
    when it lost its disk."""


UNTRIED: Final = (Ending.REPLACED, Ending.LOST)
"""Of these orders nothing is known about what they said."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of `orders` without its bytes. Times are microseconds since 1970, None for never or not yet."""

    id: int
    site_id: int
    site: str
    kind: OrderKind
    state: OrderState
    number: int | None
    made_us: int
    made_by: str
    expires_us: int | None
    sealed_to: bytes | None
    published_us: int | None
    revision: int | None
    rollout_id: int | None
    document: bytes | None
    command: str | None
    arguments: str | None
    settled_us: int | None
    outcome: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An order that no broker has taken yet."""

    id: int
    site: str
    kind: OrderKind
    raw: bytes


_COLUMNS: Final = tuple(
    sites.c.name.label("site") if name == "site" else orders.c[name] for name in OrderRow.__dataclass_fields__
)
_OF_SITES: Final = select(*_COLUMNS).join_from(orders, sites, orders.c.site_id == sites.c.id)


def open_orders(connection: Connection, site_ids: Collection[int], now_us: int) -> dict[int, list[bytes]]:
    """What sites are to be told, as bytes, settings first; what has expired is not told."""
    if not site_ids:
        return {}
    found: dict[int, list[bytes]] = defaultdict(list)
    due = or_(orders.c.expires_us.is_(None), orders.c.expires_us > now_us)
    query = select(orders.c.site_id, orders.c.raw).where(orders.c.state == "open", due)
    for site_id, raw in connection.execute(
        query.where(orders.c.site_id.in_(sorted(site_ids))).order_by(orders.c.kind.desc())
    ):
        found[site_id].append(bytes(raw))
    return found


def unpublished(connection: Connection, limit: int) -> list[Outgoing]:
    """The oldest open orders that no broker has taken."""
    query = select(orders.c.id, sites.c.name, orders.c.kind, orders.c.raw).join_from(orders, sites)
    query = query.where(orders.c.state == "open", orders.c.published_us.is_(None)).order_by(orders.c.id).limit(limit)
    return [Outgoing(id_, site, OrderKind(kind), bytes(raw)) for id_, site, kind, raw in connection.execute(query)]


def sealed(connection: Connection) -> list[tuple[int, bytes]]:
    """Every order that a site may still be told, by its id."""
    rows = connection.execute(select(orders.c.id, orders.c.raw).where(orders.c.raw.is_not(None)).order_by(orders.c.id))
    return [(order_id, bytes(raw)) for order_id, raw in rows]


def put_sealed(connection: Connection, order_id: int, raw: bytes) -> None:
    """Replace the bytes of an order, which says the same."""
    connection.execute(update(orders).where(orders.c.id == order_id, orders.c.raw.is_not(None)).values(raw=raw))


def mark_published(connection: Connection, ids: Collection[int], now_us: int) -> None:
    """Note that the broker has taken these."""
    if ids:
        connection.execute(update(orders).where(orders.c.id.in_(sorted(ids))).values(published_us=now_us))


def publish_again(connection: Connection, site_ids: Collection[int] | None = None) -> None:
    """Take open orders for not published: the broker may have lost them. Of these sites; None: of all."""
    again = update(orders).where(orders.c.state == "open", orders.c.published_us.is_not(None))
    if site_ids is not None:
        again = again.where(orders.c.site_id.in_(sorted(site_ids)))
    connection.execute(again.values(published_us=None))


def highest_numbers(connection: Connection, site_ids: Iterable[int], kind: OrderKind) -> dict[int, int]:
    """The highest number that each of these sites was given for that kind."""
    found: dict[int, int] = {}
    for some in _chunks(site_ids):
        query = select(orders.c.site_id, func.max(orders.c.number)).where(
            orders.c.site_id.in_(some), orders.c.kind == kind.value, orders.c.number.is_not(None)
        )
        found |= {row[0]: row[1] for row in connection.execute(query.group_by(orders.c.site_id))}
    return found


def add_settings(connection: Connection, rows: Sequence[dict[str, Any]], now_us: int) -> None:
    """Open settings for sites, one for each, in place of those that they have not settled."""
    for some in _chunks(row["site_id"] for row in rows):
        earlier = and_(
            orders.c.site_id.in_(some), orders.c.kind == OrderKind.SETTINGS.value, orders.c.state != "settled"
        )
        _settle(connection, earlier, Ending.REPLACED, now_us)
    if rows:
        fixed = {"kind": OrderKind.SETTINGS.value, "state": OrderState.OPEN.value}
        connection.execute(insert(orders), [row | fixed for row in rows])
    refresh(connection, [row["site_id"] for row in rows])


def add_command(connection: Connection, row: dict[str, Any]) -> int:
    """Put a command behind those that the site has, and return its id."""
    fixed = {"kind": OrderKind.COMMAND.value, "state": OrderState.WAITING.value}
    return int(connection.execute(insert(orders).values(row | fixed).returning(orders.c.id)).scalar_one())


def open_command(connection: Connection, order_id: int, number: int, raw: bytes, sealed_to: bytes) -> None:
    """Make it a waiting command's turn; `refresh` follows."""
    values = {"state": OrderState.OPEN.value, "number": number, "raw": raw, "sealed_to": sealed_to}
    connection.execute(update(orders).where(orders.c.id == order_id, orders.c.state == "waiting").values(values))


def next_commands(connection: Connection, site_ids: Collection[int] | None = None) -> list[OrderRow]:
    """Of each site without an open command the oldest that waits."""
    other = orders.alias()
    under_way = exists().where(
        other.c.site_id == orders.c.site_id, other.c.kind == OrderKind.COMMAND.value, other.c.state == "open"
    )
    first = select(func.min(orders.c.id)).where(orders.c.state == "waiting", ~under_way).group_by(orders.c.site_id)
    if site_ids is not None:
        first = first.where(orders.c.site_id.in_(sorted(site_ids)))
    return _rows(connection, _OF_SITES.where(orders.c.id.in_(first)))


def has_expired(connection: Connection, now_us: int) -> bool:
    """Whether there is something to `expire`."""
    return connection.scalar(select(orders.c.id).where(_over(now_us)).limit(1)) is not None


def expire(connection: Connection, now_us: int) -> int:
    """Settle what has expired and was not answered; how many orders that were."""
    ids = list(connection.scalars(select(orders.c.site_id).where(_over(now_us))))
    if ids:
        _settle(connection, _over(now_us), Ending.EXPIRED, now_us)
        refresh(connection, ids)
    return len(ids)


def lose(connection: Connection, site_id: int, now_us: int) -> None:
    """Settle everything that was sealed to a site that has joined anew: it has another key."""
    unread = and_(orders.c.site_id == site_id, orders.c.state.in_(("open", "probing")))
    _settle(connection, unread, Ending.LOST, now_us)
    refresh(connection, [site_id])


def lose_older(connection: Connection, site_id: int, kind: OrderKind, number: int, now_us: int) -> None:
    """Settle an open order that its site will take for an old one: it has seen that higher number."""
    older = and_(_is(site_id, kind), orders.c.state == OrderState.OPEN.value, orders.c.number < number)
    _settle(connection, older, Ending.LOST, now_us)


def settle_settings(connection: Connection, site_id: int, number: int, outcome: str, text: str, now_us: int) -> None:
    """Note what a site says of its settings order of that number; it may give up later what it had kept."""
    told = and_(_is(site_id, OrderKind.SETTINGS), orders.c.number == number)
    news = or_(
        orders.c.state.in_(("open", "probing")),
        and_(orders.c.outcome.in_(("kept", "refused", "rolled-back")), orders.c.outcome != outcome),
    )
    probing = outcome == "probing"
    values: dict[str, Any] = {"state": "probing" if probing else "settled", "outcome": outcome, "text": text}
    if not probing:
        values |= {"settled_us": now_us, "raw": None}
    connection.execute(update(orders).where(told, news).values(values))


def highest_taken(connection: Connection, site_id: int) -> int:
    """The highest number of settings that a site has said to keep or to try; 0 for none."""
    taken = or_(orders.c.outcome == Ending.KEPT.value, orders.c.state == OrderState.PROBING.value)
    query = select(func.max(orders.c.number)).where(_is(site_id, OrderKind.SETTINGS), taken)
    return int(connection.scalar(query) or 0)


def lose_trials(connection: Connection, site_id: int, latest: int, now_us: int) -> None:
    """Settle settings that a site was trying and says nothing of any more: `latest` is what it knows to be the newest.

    It was restored from a backup, or has lost its disk.
    """
    tried = and_(_is(site_id, OrderKind.SETTINGS), orders.c.state == OrderState.PROBING.value)
    _settle(connection, and_(tried, orders.c.number != latest), Ending.LOST, now_us)


def settle_command(
    connection: Connection, site_id: int, number: int, ending: Ending, text: str, data: bytes, now_us: int
) -> None:
    """Note the answer to the command of that number; also to one that has expired here meanwhile."""
    told = and_(_is(site_id, OrderKind.COMMAND), orders.c.number == number)
    unanswered = or_(orders.c.state == "open", orders.c.outcome == Ending.EXPIRED.value)
    values = {"state": "settled", "outcome": ending.value, "text": text, "data": data or None, "raw": None}
    connection.execute(update(orders).where(told, unanswered).values(values | {"settled_us": now_us}))


def refresh(connection: Connection, site_ids: Iterable[int]) -> None:
    """Bring `sites.has_orders` up to date."""
    has = exists().where(orders.c.site_id == sites.c.id, orders.c.state == "open")
    for some in _chunks(site_ids):
        connection.execute(update(sites).where(sites.c.id.in_(some)).values(has_orders=has))


def latest_settings(connection: Connection, site_ids: Iterable[int] | None = None) -> dict[int, OrderRow]:
    """Of each of these sites (None: of all) the newest settings that were not lost or replaced."""
    tried = and_(
        orders.c.kind == OrderKind.SETTINGS.value,
        or_(orders.c.outcome.is_(None), orders.c.outcome.not_in([each.value for each in UNTRIED])),
    )
    newest = select(func.max(orders.c.id)).where(tried).group_by(orders.c.site_id)
    found: dict[int, OrderRow] = {}
    for some in [None] if site_ids is None else _chunks(site_ids):
        chosen = newest if some is None else newest.where(orders.c.site_id.in_(some))
        found |= {row.site_id: row for row in _rows(connection, _OF_SITES.where(orders.c.id.in_(chosen)))}
    return found


def listed_commands(connection: Connection, site: str | None, limit: int) -> list[OrderRow]:
    """The newest commands, of that site or of all."""
    query = _OF_SITES.where(orders.c.kind == OrderKind.COMMAND.value)
    query = query if site is None else query.where(sites.c.name == site)
    return _rows(connection, query.order_by(orders.c.id.desc()).limit(limit))


def find_commands(connection: Connection, ids: Collection[int]) -> list[OrderRow]:
    """The commands of these ids, by id."""
    query = _OF_SITES.where(orders.c.kind == OrderKind.COMMAND.value, orders.c.id.in_(sorted(ids)))
    return _rows(connection, query.order_by(orders.c.id))


@dataclass(frozen=True, slots=True)
class ResendRow:
    """A site was commanded to send records once more; `outcome` is None while the answer, a `text`, is due."""

    stream: str
    first: int
    last: int
    asked_us: int
    asked_by: str
    settled_us: int | None
    outcome: str | None
    text: str


def resends(connection: Connection, site: str) -> list[ResendRow]:
    """What a site was commanded to send once more, the newest first; the last `_MAX_RESENDS`."""
    own = (orders.c.arguments, orders.c.made_us, orders.c.made_by, orders.c.settled_us, orders.c.outcome, orders.c.text)
    query = select(*own).join_from(orders, sites, sites.c.id == orders.c.site_id)
    of = (sites.c.name == site, orders.c.kind == OrderKind.COMMAND.value, orders.c.command == "resend")
    found = []
    for arguments, *row in connection.execute(query.where(*of).order_by(orders.c.id.desc()).limit(_MAX_RESENDS)):
        given = json.loads(arguments)
        found.append(ResendRow(given["stream"], int(given["first"]), int(given["last"]), *row))
    return found


def count_commands(connection: Connection) -> dict[int, int]:
    """How many commands of each site are under way or wait."""
    unsettled = (orders.c.state != "settled", orders.c.kind == OrderKind.COMMAND.value)
    query = select(orders.c.site_id, func.count()).where(*unsettled).group_by(orders.c.site_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def forget(connection: Connection, data_before_us: int, before_us: int) -> None:
    """Forget what answers brought before one time, and commands that were settled before another."""
    old = and_(orders.c.state == "settled", orders.c.data.is_not(None), orders.c.settled_us < data_before_us)
    connection.execute(update(orders).where(old).values(data=None))
    over = (orders.c.kind == OrderKind.COMMAND.value, orders.c.state == "settled", orders.c.settled_us < before_us)
    connection.execute(delete(orders).where(*over))


def data_of(connection: Connection, order_id: int) -> bytes | None:
    """What the answer to a command brought."""
    data = connection.scalar(select(orders.c.data).where(orders.c.id == order_id))
    return None if data is None else bytes(data)


def _over(now_us: int) -> Any:  # noqa: ANN401 - SQLAlchemy's clause
    # The first term lets the index of what is not settled be used.
    return and_(orders.c.state != "settled", orders.c.state != "probing", orders.c.expires_us <= now_us)


def _is(site_id: int, kind: OrderKind) -> Any:  # noqa: ANN401 - SQLAlchemy's clause
    return and_(orders.c.site_id == site_id, orders.c.kind == kind.value)


def _settle(connection: Connection, which: Any, ending: Ending, now_us: int) -> None:  # noqa: ANN401 - a clause
    values = {"state": "settled", "outcome": ending.value, "settled_us": now_us, "raw": None}
    connection.execute(update(orders).where(which).values(values))


def _rows(connection: Connection, query: Select[Any]) -> list[OrderRow]:
    return [_row(row._asdict()) for row in connection.execute(query)]


def _row(values: dict[str, Any]) -> OrderRow:
    names = ("sealed_to", "document")
    held = {name: None if values[name] is None else bytes(values[name]) for name in names}
    return OrderRow(**values | held | {"kind": OrderKind(values["kind"]), "state": OrderState(values["state"])})


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    wanted = sorted(set(ids))
    for at in range(0, len(wanted), _CHUNK):
        yield wanted[at : at + _CHUNK]
