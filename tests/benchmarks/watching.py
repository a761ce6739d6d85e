"""What a look at ten thousand sites costs, by how many of their streams have something waiting at the edge.

Usage: python -m tests.benchmarks.watching [--sites 10000] [--streams 10]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, insert, update

from farshore_hub.alerts.rules import Rules
from farshore_hub.expect.calendar import ALWAYS
from farshore_hub.expect.expectation import Expectation
from farshore_hub.expect.objective import Objective
from farshore_hub.expect.rate import Rate
from farshore_hub.store import migrate
from farshore_hub.store.days import Day
from farshore_hub.store.engine import open_engine, writing
from farshore_hub.store.ranges import pack_ranges
from farshore_hub.store.schema import account_days, accounts, intervals, sites
from farshore_hub.watch.book import Book
from farshore_hub.watch.outbox import Outbox
from farshore_hub.watch.promises import Promises
from farshore_hub.watch.seeing import Eyes
from farshore_hub.watch.watcher import Watcher, WatchSettings
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.contracts.hub_world import CountingRandom, StoppedClock, inline

LOOKS: Final = 3
HEAD: Final = 10_000
WAITING_SHARES: Final = (0.0, 0.01, 0.1, 1.0)
_HOUR_US: Final = 3_600_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clock = StoppedClock()
        engine = open_engine(f"sqlite:///{Path(folder) / 'hub.db'}")
        migrate.upgrade(engine)
        _fill(engine, clock, asked.sites, asked.streams)
        for share in WAITING_SHARES:
            _let_wait(engine, clock, share)
            look_s = _look_s(engine, clock, Promises(engine, [], [], 900))
            _say(f"{share:4.0%} of the streams have something waiting, a look", look_s)
        promising = Promises(engine, [Expectation("*", "s*", Rate(1, 10), ALWAYS)], [], 900)
        _say("every stream promises something, every 5 minutes", _cpu_s(lambda: promising.look(clock.now_us())))
        judging = Promises(engine, [], [Objective("all", "*", "*", 0.99, 3600, 30 * 86_400)], 900)
        _say("an objective judges all streams, every hour", _cpu_s(lambda: judging.look(clock.now_us())))
        engine.dispose()


def _say(what: str, seconds: float) -> None:
    sys.stdout.write(f"{what}: {seconds:.2f} s of CPU\n")


def _look_s(engine: Engine, clock: StoppedClock, promises: Promises) -> float:
    rules = Rules()
    eyes = Eyes(engine, rules, {}, lambda: "", promises)
    book = Book(rules, Outbox("hub", [], CountingRandom().token, ""))
    watcher = Watcher(engine, eyes, book, clock, inline, WatchSettings(every_s=30))
    watcher.look()
    return min(_cpu_s(watcher.look) for _ in range(LOOKS))


def _cpu_s(work: Any) -> float:  # noqa: ANN401 - anything that can be called
    began = time.process_time()
    work()
    return time.process_time() - began


def _fill(engine: Engine, clock: StoppedClock, count: int, streams: int) -> None:
    now_us, settled = clock.now_us(), pack_ranges(EMPTY)
    site_rows = [
        {"id": n, "name": f"site-{n}", "state": "active", "created_us": 0, "enrolled_us": 0, "last_seen_us": now_us}
        for n in range(1, count + 1)
    ]
    account_rows = [
        {
            "id": (site - 1) * streams + stream + 1,
            "site_id": site,
            "incarnation": b"life-one",
            "stream": f"s{stream}",
            "head": HEAD,
            "held": settled,
            "stored_count": HEAD,
            "told_count": HEAD,
        }
        for site in range(1, count + 1)
        for stream in range(streams)
    ]
    counts = Day([360] * 24, [360] * 24).pack()
    today = now_us // _HOUR_US // 24
    with writing(engine) as connection:
        connection.execute(insert(sites), site_rows)
        connection.execute(insert(accounts), account_rows)
        ranges = [{"account_id": row["id"], "kind": "stored", "first": 1, "last": HEAD} for row in account_rows]
        connection.execute(insert(intervals), ranges)
        for day in (today - 2, today - 1, today):
            days = [{"account_id": row["id"], "day": day, "counts": counts} for row in account_rows]
            connection.execute(insert(account_days), days)


def _let_wait(engine: Engine, clock: StoppedClock, share: float) -> None:
    """Let some accounts have as many records again at the edge, fresh ones."""
    if not share:
        return
    held = pack_ranges(RangeSet(((HEAD + 1, 2 * HEAD),)))
    change = update(accounts).where(accounts.c.id % 1000 < int(share * 1000))
    with writing(engine) as connection:
        connection.execute(change.values(head=2 * HEAD, held=held, oldest_us=clock.now_us(), told_count=2 * HEAD))


if __name__ == "__main__":
    main()
