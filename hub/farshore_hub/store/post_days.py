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
from farshore_hub.store.days import Day, bounded, unpack_day
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
    days = _load(connection, {at: change.days for at, change in changes.items() if at not in anew}, anew)
    before = {key: day.copy() for key, day in days.items()}
    numbers = _numbers(days)
    told = {}
    for at, change in changes.items():
        more = _apply(days, at, change)
        placed = None
        if at in anew:
            mine = {number: days[at, number] for number in numbers[at] | change.days}
            placed = _placed(connection, mine, at, changed[at][1])
            _set_placed(days, mine.values(), at, placed)
        told[at] = Told(more, placed is not None and placed.inferred)
    _save(connection, days, before, {at: change.site_id for at, change in changes.items()})
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
"""By account, or site, and day."""


def _load(connection: Connection, days: Mapping[int, set[int]], whole: Iterable[int]) -> Days:
    """The days of accounts: those that are named, or all."""
    found: Days = defaultdict(Day)
    for number, some in _by_day(days).items():
        for ids in _portions(some):
            for at, raw in connection.execute(_OF_DAY, {"day": number, "ids": ids}):
                found[at, number] = unpack_day(raw)
    for at in whole:
        for number, raw in connection.execute(_OF_ACCOUNT, {"account": at}):
            found[at, number] = unpack_day(raw)
    return found


_OF_DAY: Final = select(account_days.c.account_id, account_days.c.counts).where(
    account_days.c.account_id.in_(bindparam("ids", expanding=True)), account_days.c.day == bindparam("day")
)
_OF_ACCOUNT: Final = select(account_days.c.day, account_days.c.counts).where(
    account_days.c.account_id == bindparam("account")
)
_OF_SITES: Final = select(site_days.c.site_id, site_days.c.counts).where(
    site_days.c.site_id.in_(bindparam("ids", expanding=True)), site_days.c.day == bindparam("day")
)


def _by_day(days: Mapping[int, set[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for at, numbers in days.items():
        for number in numbers:
            found[number].append(at)
    return found


def _numbers(days: Days) -> dict[int, set[int]]:
    """Of which days there are counts, by account."""
    found: dict[int, set[int]] = defaultdict(set)
    for at, number in days:
        found[at].add(number)
    return found


def _apply(days: Days, at: int, change: HourChange) -> int:
    """Add a change to the days of an account; how many more records were told of."""
    more = 0
    for hour, count in change.produced.items():
        produced, place_ = days[at, hour // HOURS_PER_DAY].produced, hour % HOURS_PER_DAY
        more += max(0, count - produced[place_])
        produced[place_] = max(count, produced[place_])
    for hour, count in change.stored.items():
        days[at, hour // HOURS_PER_DAY].stored[hour % HOURS_PER_DAY] += count
    for hour, count in change.shed.items():
        days[at, hour // HOURS_PER_DAY].shed[hour % HOURS_PER_DAY] += count
    return more


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
    query = select(receipts.c.first, receipts.c.last, receipts.c.hours).where(receipts.c.account_id == account)
    rows = connection.execute(query.order_by(receipts.c.id))
    return [ReceiptHours(first, last, unpack_hours(hours)) for first, last, hours in rows]


def neighbours_in(connection: Connection, account: int) -> Callable[[Range], tuple[int | None, int | None]]:
    """Looks up the hours of the stored batches before and after a range."""
    of_account = (batches.c.account_id == account, batches.c.hours.is_not(None))
    hours = select(batches.c.hours).where(*of_account).limit(1)

    def look(span: Range) -> tuple[int | None, int | None]:
        before = connection.scalar(hours.where(batches.c.first < span[0]).order_by(batches.c.first.desc()))
        after = connection.scalar(hours.where(batches.c.first > span[1]).order_by(batches.c.first))
        return max(unpack_hours(before), default=None), min(unpack_hours(after), default=None)

    return look


def _save(connection: Connection, days: Days, before: Mapping[tuple[int, int], Day], sites: Mapping[int, int]) -> None:
    changed = {key: day for key, day in days.items() if day != before.get(key, _NO_DAY)}
    if not changed:
        return
    rows = [{"account_id": at, "day": number, "counts": day.pack()} for (at, number), day in changed.items()]
    upsert(connection, account_days, rows, ["counts"])
    more: Days = defaultdict(Day)
    for (at, number), day in changed.items():
        more[sites[at], number].grow(day, before.get((at, number), _NO_DAY))
    add_to_sites(connection, more)


_NO_DAY: Final = Day()


def add_to_sites(connection: Connection, more: Mapping[tuple[int, int], Day]) -> None:
    """Add counts, which may be negative, to the days of sites."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for site_id, number in more:
        wanted[site_id].add(number)
    found: Days = {}
    for number, some in _by_day(wanted).items():
        for ids in _portions(some):
            for site_id, raw in connection.execute(_OF_SITES, {"day": number, "ids": ids}):
                found[site_id, number] = unpack_day(raw)
    rows = [site_row(key, found.get(key, _NO_DAY).plus(day)) for key, day in more.items()]
    upsert(connection, site_days, rows, ["states", "produced", "stored", "counts"])


def site_row(key: tuple[int, int], day: Day) -> dict[str, Any]:
    """A row of `site_days`, for a site and a day."""
    site_id, number = key
    totals = {"produced": bounded(sum(day.produced)), "stored": bounded(sum(day.stored))}
    return {"site_id": site_id, "day": number, "states": day.states(), "counts": day.pack(), **totals}


def _portions(items: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(items), _KEYS_PER_QUERY):
        yield items[start : start + _KEYS_PER_QUERY]
