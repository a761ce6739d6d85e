"""Posts what changed by the hour, in the transaction that changes it: the days of accounts, and those of their sites.

Usually a change is added to the rows of a day or two. Where hours have to be inferred (a gap, a receipt that does not
tell them), the account is placed anew from its receipts, every time: its days are what its facts make of them, always.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.hours import HOURS_PER_DAY
from farshore_hub.ledger.placing import Placed, ReceiptHours, place
from farshore_hub.store import accounts as stored
from farshore_hub.store.days import NO_STATES, Counts, Day, bounded, unpack_day
from farshore_hub.store.dialect import upsert
from farshore_hub.store.inbox import lock_sites
from farshore_hub.store.ranges import pack_hours, unpack_hours
from farshore_hub.store.schema import account_days, accounts, batches, receipts, site_days
from farshore_protocol.hours import Hours
from farshore_protocol.ranges import Range

_KEYS_PER_QUERY: Final = 300


@dataclass(slots=True)
class HourChange:
    """What becomes of an account by the hour.

    Attributes:
        site_id: whose it is.
        produced: what the site has given out in all, of the hours that it told of.
        stored, shed: what is added.
        recount: what is shed has to be counted anew.
    """

    site_id: int
    produced: dict[int, int] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)
    shed: dict[int, int] = field(default_factory=dict)
    recount: bool = False

    def tell(self, hours: Mapping[int, int]) -> None:
        """The site has told how many records it gave out; never fewer than it said before."""
        for hour, count in hours.items():
            self.produced[hour] = max(count, self.produced.get(hour, 0))

    def store(self, hours: Mapping[int, int], sign: int = 1) -> None:
        """Records were stored, or with a `sign` of -1 lost."""
        for hour, count in hours.items():
            self.stored[hour] = self.stored.get(hour, 0) + sign * count

    def shed_more(self, hours: Mapping[int, int]) -> None:
        """Receipts for records that are not stored have arrived."""
        for hour, count in hours.items():
            self.shed[hour] = self.shed.get(hour, 0) + count

    @property
    def days(self) -> set[int]:
        """The days that it touches."""
        return {hour // HOURS_PER_DAY for hours in (self.produced, self.stored, self.shed) for hour in hours}


@dataclass(frozen=True, slots=True)
class Told:
    """What an account's row has to say of its days: how much more was told, and whether hours were inferred."""

    more: int
    placed: bool


def post_days(
    connection: Connection, changes: Mapping[int, HourChange], changed: Mapping[int, tuple[Account, Account]]
) -> dict[int, Told]:
    """Write changes; `changed` has each of the accounts before and after. What to write in its row, by account."""
    anew = {at for at, change in changes.items() if _is_placed_anew(change, *changed[at])}
    loaded = _load(connection, {at: change.days for at, change in changes.items() if at not in anew}, anew)
    growth: Growth = defaultdict(dict)
    days: Days = defaultdict(Day, {key: unpack_day(raw) for key, raw in loaded.items()})
    numbers = _numbers(loaded)
    told = {}
    for at, change in changes.items():
        if at not in anew:
            told[at] = Told(_apply(days, at, change, growth), placed=False)
            continue
        more = _apply(days, at, change, defaultdict(dict))
        mine = {number: days[at, number] for number in numbers[at] | change.days}
        placed = _placed(connection, mine, at, changed[at][1])
        _set_placed(days, mine.values(), at, placed)
        told[at] = Told(more, placed.inferred)
    for at, number in days:
        if at in anew:
            _grow(growth[changes[at].site_id, number], loaded.get((at, number), _NO_DAY), days[at, number])
    _save(connection, days, loaded)
    _add_to_sites(connection, growth)
    return told


def save_with_hours(
    connection: Connection,
    changed: Mapping[int, tuple[Account, Account]],
    hours: Mapping[int, HourChange],
    now_us: int,
) -> None:
    """Write what became of accounts, given by id as before and after, and of their hours. Their sites are locked."""
    told = post_days(connection, {at: hours[at] for at in changed}, changed)
    saved = {
        at: (before, replace(after, told=bounded(after.told + told[at].more), placed=told[at].placed))
        for at, (before, after) in changed.items()
    }
    stored.save_accounts(connection, saved, now_us)


def count_stored(connection: Connection, counted: Mapping[int, Hours], now_us: int) -> None:
    """Note the hours of batches, given by id, of which nobody has told them; those that are known stay.

    Each is counted once: whoever comes later finds the hours in the batch's row.
    """
    owner = (batches.c.id, accounts.c.id, accounts.c.site_id, accounts.c.incarnation, accounts.c.stream)
    of_account = batches.c.account_id == accounts.c.id
    found: list[Any] = []
    for ids in _portions(list(counted)):
        query = select(*owner).join_from(batches, accounts, of_account)
        found += connection.execute(query.where(batches.c.id.in_(ids), batches.c.hours.is_(None)))
    if not found:
        return
    lock_sites(connection, (row[2] for row in found))
    opened = stored.open_accounts(connection, {(row[2], bytes(row[3]), row[4]) for row in found})
    changes = {at: HourChange(key[0]) for key, (at, _) in opened.items()}
    for batch, at, *_ in found:
        values = {"hours": pack_hours(counted[batch])}
        one = update(batches).where(batches.c.id == batch, batches.c.hours.is_(None))
        if connection.execute(one.values(values)).rowcount:
            changes[at].store(counted[batch])
    save_with_hours(connection, {at: (account, account) for at, account in opened.values()}, changes, now_us)


def _is_placed_anew(change: HourChange, before: Account, after: Account) -> bool:
    return change.recount or before.placed or bool(balance(after).gaps)


Days = dict[tuple[int, int], Day]
"""By account and day."""

Growth = dict[tuple[int, int], dict[int, Counts]]
"""By site and day, and hour of the day: what is added to what is known, stored, shed and nowhere."""


def _load(connection: Connection, days: Mapping[int, set[int]], whole: Iterable[int]) -> dict[tuple[int, int], bytes]:
    """The days of accounts, packed: those that are named, or all."""
    found: dict[tuple[int, int], bytes] = {}
    for number, some in _by_day(days).items():
        for ids in _portions(some):
            for at, raw in connection.execute(_OF_DAY, {"day": number, "ids": ids}):
                found[at, number] = bytes(raw)
    for at in whole:
        for number, raw in connection.execute(_OF_ACCOUNT, {"account": at}):
            found[at, number] = bytes(raw)
    return found


_OF_DAY: Final = select(account_days.c.account_id, account_days.c.counts).where(
    account_days.c.account_id.in_(bindparam("ids", expanding=True)), account_days.c.day == bindparam("day")
)
_OF_ACCOUNT: Final = select(account_days.c.day, account_days.c.counts).where(
    account_days.c.account_id == bindparam("account")
)
_OF_SITES: Final = select(site_days.c.site_id, site_days.c.counts, site_days.c.states).where(
    site_days.c.site_id.in_(bindparam("ids", expanding=True)), site_days.c.day == bindparam("day")
)


def _by_day(days: Mapping[int, set[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for at, numbers in days.items():
        for number in numbers:
            found[number].append(at)
    return found


def _numbers(days: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    """Of which days there are counts, by account."""
    found: dict[int, set[int]] = defaultdict(set)
    for at, number in days:
        found[at].add(number)
    return found


def _apply(days: Days, at: int, change: HourChange, growth: Growth) -> int:
    """Add a change to the days of an account, and to what its site's days grow by; how many more were told of."""
    more = 0
    for hour in {**change.produced, **change.stored, **change.shed}:
        number, place_ = divmod(hour, HOURS_PER_DAY)
        day = days[at, number]
        before, told = day.hour(place_), change.produced.get(hour, 0) - day.produced[place_]
        if told > 0:
            day.produced[place_] += told
            more += told
        day.stored[place_] += change.stored.get(hour, 0)
        day.shed[place_] += change.shed.get(hour, 0)
        _add_hour(growth[change.site_id, number], place_, before, day.hour(place_))
    return more


def _add_hour(grown: dict[int, Counts], place_: int, before: Counts, after: Counts) -> None:
    known, stored_, shed, gap = grown.get(place_, _NO_COUNTS)
    grown[place_] = (
        known + after[0] - before[0],
        stored_ + after[1] - before[1],
        shed + after[2] - before[2],
        gap + after[3] - before[3],
    )


def _grow(grown: dict[int, Counts], loaded: bytes, after: Day) -> None:
    before = unpack_day(loaded)
    for place_ in range(HOURS_PER_DAY):
        _add_hour(grown, place_, before.hour(place_), after.hour(place_))


def _placed(connection: Connection, mine: Mapping[int, Day], at: int, account: Account) -> Placed:
    produced, has = {}, {}
    for number, day in mine.items():
        start = number * HOURS_PER_DAY
        produced.update({start + place_: count for place_, count in enumerate(day.produced) if count})
        has.update({start + place_: count for place_, count in enumerate(day.stored) if count})
    return place(account, produced, has, read_receipts(connection, at), neighbours_in(connection, at))


def _set_placed(days: Days, mine: Iterable[Day], at: int, placed: Placed) -> None:
    for day in mine:
        day.shed, day.gap = [0] * HOURS_PER_DAY, [0] * HOURS_PER_DAY
    for hour, count in placed.shed.items():
        days[at, hour // HOURS_PER_DAY].shed[hour % HOURS_PER_DAY] = count
    for hour, count in placed.gap.items():
        days[at, hour // HOURS_PER_DAY].gap[hour % HOURS_PER_DAY] = count


def read_receipts(connection: Connection, account: int) -> list[ReceiptHours]:
    """The receipts of an account with their hours, in the order of their arrival."""
    rows = connection.execute(_RECEIPTS, {"account": account})
    return [ReceiptHours(first, last, unpack_hours(hours)) for first, last, hours in rows]


def neighbours_in(connection: Connection, account: int) -> Callable[[Range], tuple[int | None, int | None]]:
    """Looks up the hours of the stored batches before and after a range."""

    def look(span: Range) -> tuple[int | None, int | None]:
        before = connection.scalar(_BEFORE, {"account": account, "sequence": span[0]})
        after = connection.scalar(_AFTER, {"account": account, "sequence": span[1]})
        return max(unpack_hours(before), default=None), min(unpack_hours(after), default=None)

    return look


# Making such a statement costs more than running it.

_RECEIPTS: Final = (
    select(receipts.c.first, receipts.c.last, receipts.c.hours)
    .where(receipts.c.account_id == bindparam("account"))
    .order_by(receipts.c.id)
)
_NEAR: Final = select(batches.c.hours).where(batches.c.account_id == bindparam("account"), batches.c.hours.is_not(None))
_BEFORE: Final = _NEAR.where(batches.c.first < bindparam("sequence")).order_by(batches.c.first.desc()).limit(1)
_AFTER: Final = _NEAR.where(batches.c.first > bindparam("sequence")).order_by(batches.c.first).limit(1)


def _save(connection: Connection, days: Days, loaded: Mapping[tuple[int, int], bytes]) -> None:
    packed = {key: day.pack() for key, day in days.items()}
    rows = [
        {"account_id": at, "day": number, "counts": raw}
        for (at, number), raw in packed.items()
        if raw != loaded.get((at, number), _NO_DAY)
    ]
    upsert(connection, account_days, rows, ["counts"])


_NO_DAY: Final = Day().pack()
_NO_COUNTS: Final = (0, 0, 0, 0)


def _add_to_sites(connection: Connection, growth: Growth) -> None:
    """Add counts, which may be negative, to the days of sites."""
    grown = {key: hours for key, of in growth.items() if (hours := {at: more for at, more in of.items() if any(more)})}
    wanted: dict[int, list[int]] = defaultdict(list)
    for site_id, number in grown:
        wanted[number].append(site_id)
    found: dict[tuple[int, int], tuple[Day, bytes]] = {}
    for number, some in wanted.items():
        for ids in _portions(some):
            for site_id, raw, states in connection.execute(_OF_SITES, {"day": number, "ids": ids}):
                found[site_id, number] = unpack_day(raw), bytes(states)
    rows = []
    for key, hours in grown.items():
        day, states = found.get(key) or (Day(), NO_STATES)
        rows.append(_site_row(key, day, day.add(hours, states)))
    upsert(connection, site_days, rows, ["states", "produced", "stored", "counts"])


def site_row(key: tuple[int, int], day: Day) -> dict[str, Any]:
    """A row of `site_days`, for a site and a day."""
    return _site_row(key, day, day.states())


def _site_row(key: tuple[int, int], day: Day, states: bytes) -> dict[str, Any]:
    site_id, number = key
    totals = {"produced": bounded(sum(day.produced)), "stored": bounded(sum(day.stored))}
    return {"site_id": site_id, "day": number, "states": states, "counts": day.pack(), **totals}


def _portions(items: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(items), _KEYS_PER_QUERY):
        yield items[start : start + _KEYS_PER_QUERY]
