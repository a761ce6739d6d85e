"""A hub with made-up sites, to look at and to measure the page with.

python -m tests.browser.made_up --sites 40      serves until it is interrupted; prints address and token
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Table, insert

from farshore_hub.initialise import Stores, initialise
from farshore_hub.ledger.hours import HOURS_PER_DAY
from farshore_hub.opening import open_hub
from farshore_hub.store.days import Day
from farshore_hub.store.engine import writing
from farshore_hub.store.lake import CommitState
from farshore_hub.store.ranges import pack_ranges
from farshore_hub.store.schema import (
    account_days,
    accounts,
    batches,
    certificates,
    intervals,
    lake_commits,
    receipts,
    site_days,
    sites,
)
from farshore_protocol.hours import HOUR_US
from farshore_protocol.ranges import EMPTY, RangeSet, upto
from farshore_shell.system import SystemClock, SystemRandom
from tests.browser.tables import merge_orders
from tests.hub.web.running import served

PLACES: Final = ("pump-station", "well", "reservoir", "weir", "booster", "intake", "outfall", "gauge")
STREAMS: Final = ("access-log", "flow", "level", "pressure", "pump-status", "turbidity")
HOURS: Final = 8 * HOURS_PER_DAY
_MINUTE_US: Final = 60_000_000
_ROWS: Final = 5000
_WITH_DETAILS: Final = 200
"""In a larger fleet the sites have no hours of their own streams and no batches: nobody looks at each."""

KINDS: Final = ("complete",) * 90 + ("pending",) * 6 + ("silent",) * 2 + ("gap",) * 1 + ("new",) * 1
FEW: Final = ("complete", "pending", "complete", "gap", "complete", "silent", "complete", "complete", "new", "pending")


@dataclass
class Rows:
    """What is put into the tables."""

    of: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: Table, **values: object) -> None:
        self.of.setdefault(table, []).append(values)

    def store(self, engine: Engine) -> None:
        """In the order in which they need each other."""
        for table in (
            lake_commits,
            sites,
            certificates,
            accounts,
            intervals,
            receipts,
            batches,
            account_days,
            site_days,
        ):
            rows = self.of.get(table, [])
            for at in range(0, len(rows), _ROWS):
                with writing(engine) as connection:
                    connection.execute(insert(table), rows[at : at + _ROWS])


def make_up(engine: Engine, count: int, now_us: int) -> None:
    """Put so many sites with eight days of history into an empty hub; the same ones every time."""
    rows, chance = Rows(), random.Random(7)
    for number, stream in enumerate(STREAMS, 1):
        rows.add(lake_commits, id=number, stream=stream, state=CommitState.DONE.value, created_us=now_us)
    for number in range(1, count + 1):
        kind = FEW[number % len(FEW)] if count <= _WITH_DETAILS else KINDS[chance.randrange(len(KINDS))]
        _add_site(rows, number, kind, now_us, detailed=count <= _WITH_DETAILS)
    rows.store(engine)


def _add_site(rows: Rows, number: int, kind: str, now_us: int, *, detailed: bool) -> None:
    chance = random.Random(number)
    name = f"{PLACES[number % len(PLACES)]}-{number}"
    quiet_us = chance.randrange(4, 50) * HOUR_US if kind == "silent" else chance.randrange(5 * _MINUTE_US)
    heard_us = None if kind == "new" else now_us - quiet_us
    joined_us = now_us - 30 * HOURS_PER_DAY * HOUR_US
    rows.add(
        sites,
        id=number,
        name=name,
        state="pending" if kind == "new" else "active",
        created_us=joined_us,
        enrolled_us=None if kind == "new" else joined_us,
        last_seen_us=heard_us,
        clock_offset_us=None if kind == "new" else chance.randrange(-90_000, 90_000),
        agent_version=None if kind == "new" else "0.1.0",
    )
    if heard_us is None:
        return
    ends_us = now_us + 19 * HOURS_PER_DAY * HOUR_US
    rows.add(certificates, serial=f"{number:032x}", site_id=number, issued_us=joined_us, not_after_us=ends_us)
    hours = heard_us // HOUR_US
    totals: dict[int, Day] = {}
    for stream in STREAMS:
        days = _days(chance, kind, stream, range(hours - HOURS + 1, hours + 1))
        account = number * len(STREAMS) + STREAMS.index(stream)
        _add_account(rows, account, number, stream, days, heard_us)
        for day, counts in days.items():
            _add(totals.setdefault(day, Day()), counts)
            if detailed:
                rows.add(account_days, account_id=account, day=day, counts=counts.pack())
        if detailed:
            _add_batches(rows, account, days, chance)
    for day, total in totals.items():
        stored = sum(total.stored)
        sums = {"produced": sum(total.known), "stored": stored}
        rows.add(site_days, day=day, site_id=number, states=total.states(), counts=total.pack(), **sums)


def _days(chance: random.Random, kind: str, stream: str, hours: range) -> dict[int, Day]:
    days: dict[int, Day] = {}
    waits = hours.stop - chance.randrange(2, 9) if kind == "pending" and stream in {"flow", "pressure"} else hours.stop
    lost = chance.randrange(hours.stop - 20, hours.stop - 3) if kind == "gap" and stream == "pressure" else -1
    shed = chance.randrange(hours.start, hours.stop - 4) if stream == "turbidity" and chance.random() < 0.2 else -9
    for hour in hours:
        day, at = days.setdefault(hour // HOURS_PER_DAY, Day()), hour % HOURS_PER_DAY
        produced = chance.randrange(350, 370)
        given_up = 120 if shed <= hour < shed + 3 else 0
        gone = 47 if lost <= hour < lost + 2 else 0
        here = 0 if hour >= waits else produced - given_up - gone
        day.produced[at], day.stored[at], day.shed[at], day.gap[at] = produced, here, given_up, gone
    return days


def _add_account(rows: Rows, account: int, site: int, stream: str, days: dict[int, Day], heard_us: int) -> None:
    shed = sum(sum(day.shed) for day in days.values())
    gone = sum(sum(day.gap) for day in days.values())
    here = sum(sum(day.stored) for day in days.values())
    head = sum(sum(day.produced) for day in days.values())
    pending = head - here - shed - gone
    # In the order of their sequences: given up, stored, gone, stored, at the edge.
    given_up = upto(shed)
    lost = RangeSet(((shed + here // 2 + 1, shed + here // 2 + gone),)) if gone else EMPTY
    held = RangeSet(((head - pending + 1, head),)) if pending else EMPTY
    stored = upto(head) - given_up - lost - held
    waiting = sum(day.stored.count(0) for day in days.values())
    rows.add(
        accounts,
        id=account,
        site_id=site,
        incarnation=b"%08d" % (site % 10**8),
        stream=stream,
        head=head,
        held=pack_ranges(held),
        oldest_us=heard_us - waiting * HOUR_US if pending else None,
        closed=False,
        stated_us=heard_us,
        stored_count=stored.count,
        receipted_count=shed,
        told_count=head,
    )
    for kind, ranges in (("stored", stored), ("receipted", given_up)):
        for first, last in ranges:
            rows.add(intervals, account_id=account, kind=kind, first=first, last=last)
    if shed:
        at_us = heard_us - 30 * HOUR_US
        why = {"reason": "evicted", "detail": "the buffer was full", "at_us": at_us, "received_us": at_us}
        rows.add(receipts, account_id=account, first=1, last=shed, **why)


def _add_batches(rows: Rows, account: int, days: dict[int, Day], chance: random.Random) -> None:
    first = 1
    for day, counts in days.items():
        for at, stored in enumerate(counts.stored):
            if stored:
                digest, received_us = chance.randbytes(16), (day * HOURS_PER_DAY + at) * HOUR_US + HOUR_US // 2
                rows.add(
                    batches,
                    account_id=account,
                    first=first,
                    count=stored,
                    digest=digest,
                    content_digest=digest,
                    received_us=received_us,
                    lake_commit=account % len(STREAMS) + 1,
                )
                first += stored


def _add(total: Day, more: Day) -> None:
    for mine, other in ((total.produced, more.produced), (total.stored, more.stored), (total.shed, more.shed)):
        mine[:] = [one + another for one, another in zip(mine, other, strict=True)]
    total.gap[:] = [one + another for one, another in zip(total.gap, more.gap, strict=True)]


@contextmanager
def made_up_hub(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """A running hub with so many sites, without TLS: its address, and an admin's token."""
    token = initialise(folder / "hub", ["https://127.0.0.1:8443"], None, Stores(), SystemClock(), SystemRandom())
    with (folder / "hub" / "hub.toml").open("a") as settings:
        settings.write('\n[tables.orders]\ncolumns = { stock = "manual" }\n')
    with open_hub(folder / "hub") as hub:
        make_up(hub.engine, count, hub.fleet.clock.now_us())
        merge_orders(folder / "hub", hub.fleet.clock.now_us() - 3_600_000_000)
        with served(hub, tls=False) as address:
            yield address, token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-") as folder, made_up_hub(Path(folder), asked.sites) as (where, token):
        print(where, token, flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
