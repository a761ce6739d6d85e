"""How long the ledger takes to say what is complete, and what keeping it by the hour costs the accept path.

    python -m tests.benchmarks.ledger [--sites 10_000] [--streams 10] [--days 30] [--store sqlite] [--repeats 9]

The store is filled by SQL with sites, streams and days; then the fleet's overview (a day by the hour, every site), the
gaps of one site and the score of a day are asked for, the median of some repeats. The cost is CPU time of posting the
same parcels with the hours and the journal left out, and with them, in turns within one process; what verifying the
parcels takes besides makes the share in the whole accept path. The growth is that of ten days of claims, each of a
stream every five minutes, before and after they are thinned.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import Engine, insert, literal, select, update

from farshore_hub.ledger.completeness import completeness
from farshore_hub.receive import posting
from farshore_hub.receive.verify import BroughtParcel, VerifiedParcel
from farshore_hub.store import accounts as account_rows
from farshore_hub.store import days, migrate
from farshore_hub.store.days import Day
from farshore_hub.store.dialect import database_bytes
from farshore_hub.store.engine import fold_log, open_engine, reading, writing
from farshore_hub.store.ranges import pack_hours, pack_ranges
from farshore_hub.store.schema import account_days, accounts, claims, intervals, site_days, sites
from farshore_hub.store.thinning import thin_some
from farshore_protocol.hours import HOUR_US
from farshore_protocol.messages import Claim
from farshore_protocol.ranges import EMPTY, RangeSet
from tests.benchmarks.rig.command import Benchmark, Figure, size
from tests.contracts.hub_world import FakeSite, HubWorld
from tests.postgres import private_cluster

LAST_DAY: Final = 20_780
PER_HOUR: Final = 360
_ROWS: Final = 20_000
_ROUNDS: Final = 6
_SITES: Final = 64
_STREAMS: Final = 100
_DAYS: Final = 10
_CLAIMS_A_DAY: Final = 288


def measure(options: argparse.Namespace, _folder: Path) -> list[Figure]:
    """One run."""
    with _database(options.store) as url:
        engine = open_engine(url)
        fold_log(engine)
        migrate.upgrade(engine)
        _fill(engine, options.sites, options.streams, options.days)
        asked = {name: _median_ms(ask, options.repeats) for name, ask in _questions(engine).items()}
        engine.dispose()
    with _database(options.store) as url:
        cost = _cost(url)
    with _database(options.store) as url:
        grown = _growth(url)
    return [
        *(Figure(name, value, "ms", most=100) for name, value in asked.items()),
        *(Figure(name, value, "µs a parcel") for name, value in cost.items()),
        *(Figure(name, value, "B a stream and day") for name, value in grown.items()),
        Figure("hours and journal, of verifying and posting", _share_of_hours(cost), "%", most=15),
    ]


def _growth(url: str) -> dict[str, float]:
    """Bytes that the claims of a stream take for a day, one every five minutes, before and after they are thinned."""
    engine = open_engine(url)
    fold_log(engine)
    migrate.upgrade(engine)
    held, told = pack_ranges(RangeSet(((100_001, 100_300),))), pack_hours({LAST_DAY * 24: 300, LAST_DAY * 24 + 1: 120})
    row = {"stated_by": bytes(8), "head": 100_300, "held": held, "oldest_us": HOUR_US, "closed": False, "hours": told}
    day_us, count = 24 * HOUR_US, _STREAMS * _DAYS
    with writing(engine) as connection:
        connection.execute(insert(sites), [_site(1, 0)])
        one = {"site_id": 1, "incarnation": b"life-one", "held": held}
        connection.execute(insert(accounts), [one | {"stream": f"s-{at}"} for at in range(_STREAMS)])
        ids = list(connection.scalars(select(accounts.c.id)))
        before = database_bytes(connection)
        moments = range(HOUR_US, _DAYS * day_us, day_us // _CLAIMS_A_DAY)
        for number, at_us in enumerate(moments):
            rows = [row | {"account_id": each, "at_us": at_us, "number": number} for each in ids]
            connection.execute(insert(claims), rows)
        whole = database_bytes(connection)
    while _thin(engine, _DAYS * day_us):
        pass
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM FULL claims")
    with reading(engine) as connection:
        thin = database_bytes(connection)
    engine.dispose()
    return {"claims": (whole - before) / count, "claims, thinned": (thin - before) / count}


def _thin(engine: Engine, until_us: int) -> bool:
    with writing(engine) as connection:
        return thin_some(connection, until_us, until_us)


def _share_of_hours(cost: dict[str, float]) -> float:
    added = cost["CPU: post with hours and journal"] - cost["CPU: post without them"]
    return 100 * added / (cost["CPU: verify"] + cost["CPU: post without them"])


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sites", type=size, default=10_000, metavar="N", help="(default 10,000)")
    parser.add_argument("--streams", type=size, default=10, metavar="N", help="of each site (default 10)")
    parser.add_argument("--days", type=size, default=30, metavar="N", help="of which there are hours (default 30)")
    parser.add_argument("--repeats", type=size, default=9, metavar="N", help="of each question (default 9)")


@contextmanager
def _database(store: str) -> Iterator[str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if store == "sqlite":
            yield f"sqlite:///{folder}/hub.db"
        else:
            yield stack.enter_context(stack.enter_context(private_cluster()).database())


def _fill(engine: Engine, site_count: int, streams: int, day_count: int) -> None:
    """Every site, stream and hour complete, but for a gap in every fiftieth stream."""
    heard_us = (LAST_DAY + 1) * 24 * HOUR_US - 1
    per_day = 24 * PER_HOUR
    produced = per_day * day_count
    day = Day([PER_HOUR] * 24, [PER_HOUR] * 24)
    holed = Day([PER_HOUR] * 24, [PER_HOUR] * 23 + [PER_HOUR - 5], gap=[0] * 23 + [5])
    number_of = range(1, site_count * streams + 1)
    first_day = LAST_DAY - day_count + 1
    whole = Day([PER_HOUR * streams] * 24, [PER_HOUR * streams] * 24)
    totals = (per_day * streams, per_day * streams)

    def account(at: int) -> dict[str, Any]:
        gap = 5 if at % 50 == 0 else 0
        own = {"id": at, "site_id": (at - 1) // streams + 1, "incarnation": b"life-one", "stream": f"s-{at % streams}"}
        counts = {"head": produced, "stored_count": produced - gap, "told_count": produced}
        return own | counts | {"held": pack_ranges(EMPTY)}

    with writing(engine) as connection:
        _load(connection, sites, (_site(at, heard_us) for at in range(1, site_count + 1)))
        _load(connection, accounts, map(account, number_of))
        _load(connection, intervals, (each for at in number_of for each in _intervals(at, produced)))
        for number in range(first_day, LAST_DAY + 1):
            of_account = select(accounts.c.id, literal(number), literal(day.pack()))
            connection.execute(insert(account_days).from_select(["account_id", "day", "counts"], of_account))
            of_site = select(literal(number), sites.c.id, literal(whole.states()), *map(literal, totals))
            of_site = of_site.add_columns(literal(whole.pack()))
            names = ["day", "site_id", "states", "produced", "stored", "counts"]
            connection.execute(insert(site_days).from_select(names, of_site))
        with_gap = (account_days.c.account_id % 50 == 0, account_days.c.day == LAST_DAY)
        connection.execute(update(account_days).where(*with_gap).values(counts=holed.pack()))
        connection.exec_driver_sql("ANALYZE")


def _site(at: int, heard_us: int) -> dict[str, Any]:
    return {"id": at, "name": f"site-{at:05}", "state": "active", "created_us": 0, "last_seen_us": heard_us}


def _intervals(at: int, produced: int) -> list[dict[str, Any]]:
    row = {"account_id": at, "kind": "stored", "first": 1, "last": produced}
    if at % 50:
        return [row]
    return [row | {"last": produced - 100}, row | {"first": produced - 94}]


def _load(connection: Any, table: Any, rows: Iterator[dict[str, Any]]) -> None:  # noqa: ANN401
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == _ROWS:
            connection.execute(insert(table), some)
            some = []
    if some:
        connection.execute(insert(table), some)


def _questions(engine: Engine) -> dict[str, Callable[[], object]]:
    hours = range(LAST_DAY * 24, LAST_DAY * 24 + 24)

    def overview() -> object:
        with reading(engine) as connection:
            return days.read_fleet(connection, hours, "", 10_000, 0)

    def gaps() -> object:
        with reading(engine) as connection:
            rows = account_rows.read_accounts(connection, "site-00005")
            return completeness(rows, now_us=0, silent_after_us=2**62)

    def score() -> object:
        with reading(engine) as connection:
            return days.score(connection, LAST_DAY, LAST_DAY)

    def hours_of_site() -> object:
        with reading(engine) as connection:
            return days.read_site_hours(connection, 5, hours)

    return {
        "fleet overview": overview,
        "gaps of a site": gaps,
        "score of a day": score,
        "hours of a site": hours_of_site,
    }


def _median_ms(ask: Callable[[], object], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(took)


def _cost(url: str) -> dict[str, float]:
    """CPU microseconds that a parcel of one batch costs to verify, to post without hours, and to post with them."""
    hub = HubWorld(url)
    fleet = [hub.add_site(f"ship-{at}") for at in range(_SITES)]
    spent: dict[str, list[float]] = {"verify": [], "without": [], "with": []}
    for turn in range(2 * _ROUNDS):
        brought = [BroughtParcel(_parcel(site, turn), site.name) for site in fleet]
        verifier = hub.receiver._verifier
        began_s = time.process_time()
        parcels = [each for each in verifier.verify(brought) if isinstance(each, VerifiedParcel)]
        spent["verify"].append((time.process_time() - began_s) / _SITES)
        began_s = time.process_time()
        with ExitStack() as stack:
            if turn % 2:
                stack.enter_context(_without_hours())
            with writing(hub.engine) as connection:
                posting.post(connection, parcels, hub.clock.now_us() + turn)
        spent["without" if turn % 2 else "with"].append((time.process_time() - began_s) / _SITES)
    hub.engine.dispose()
    verify, without, whole = (statistics.median(spent[name][1:]) * 1e6 for name in ("verify", "without", "with"))
    return {
        "CPU: verify": verify,
        "CPU: post without them": without,
        "CPU: post with hours and journal": whole,
    }


@contextmanager
def _without_hours() -> Iterator[None]:
    def save(connection: Any, changed: Any, _hours: object, now_us: int) -> None:  # noqa: ANN401
        account_rows.save_accounts(connection, changed, now_us)

    def nothing(*_: object) -> None:
        return

    with patch.object(posting, "save_with_hours", save), patch.object(posting, "add_claims", nothing):
        yield


def _parcel(site: FakeSite, turn: int) -> bytes:
    """A batch of a thousand records."""
    first, hour = turn * 1000 + 1, 498_732 + turn // 4
    told = [hour, 1000 * (turn % 4 + 1)]
    sealed: list[tuple[int, list[int]]] = [(first, [hour, 1000])]
    held = RangeSet.of((first, first + 999)).to_wire()
    claim = Claim(site.incarnation, "boiler", first + 999, held, hours=told, sealed=sealed)
    return site.parcel(site.batch(first, 1000), claims=[claim], epochs=turn == 0)


BENCHMARK = Benchmark(
    name="ledger",
    about=__doc__ or "",
    examples=["ledger --sites 1_000", "ledger --store postgresql"],
    measure=measure,
    records=0,
    options=_options,
)

if __name__ == "__main__":
    BENCHMARK.main()
