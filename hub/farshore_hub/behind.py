"""What stands behind the port: the lake and its audit, the merge, the watch, and the API and pages for people.

To load it takes more than everything that a parcel needs. So `serve` does not import this module before the port is
open: `app` loads it on a thread, while sites deliver already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from farshore_hub.alerting import channels_of, desk_of, promises_of, watcher_of
from farshore_hub.audit.auditor import Auditor, AuditPace
from farshore_hub.audit.lake import LakeCare
from farshore_hub.broker.road import MqttRoad, road_of
from farshore_hub.journal.thinner import Thinner
from farshore_hub.lake.files.opening import lake_of, lock_file_of
from farshore_hub.lake.lease import lease_for
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.reader import LakeReader
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.spill import Spill
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.worker.workers import Workers
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.merged.desk import TableDesk
from farshore_hub.merged.forgetter import Forgetter, Kept
from farshore_hub.merger import Merger
from farshore_hub.notify.courier import Courier
from farshore_hub.opening import OpenedHub, reporter_of, schema_fault
from farshore_hub.orders.desk import OrderDesk
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.orders.steering import Steering
from farshore_hub.overview import Overview
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.share.desk import ShareDesk
from farshore_hub.share.news import News
from farshore_hub.share.sharer import Shared, Sharer
from farshore_hub.store.told import Told, listen
from farshore_hub.watch.watcher import Watcher
from farshore_hub.web.api import make_app
from farshore_hub.web.door import SitesDoor
from farshore_hub.web.metrics import HubMetrics
from farshore_hub.web.services import Services
from farshore_hub.work.bounded import BoundedRunner
from farshore_hub.work.lanes import lane
from farshore_hub.work.loops import Loop
from farshore_hub.work.threads import threads
from farshore_protocol.ports import Runner
from farshore_shell.system import ThreadRunner

SHARE_THREADS: Final = 2
MQTT_THREADS: Final = 2
MAX_SHARING_CALLS: Final = 256
RETRY_S: Final = 10

_US_PER_S: Final = 1_000_000

Checks = dict[str, Callable[[], str]]
"""By name: what is wrong just now, or nothing."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind the port; a context, at whose end its threads and processes end.

    Attributes:
        app: answers everything but parcels.
        loops: to be run.
    """

    app: ASGIApp
    loops: list[Loop]
    _stack: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class _Rooms:
    """What the web shows of the rooms that work by themselves."""

    checks: Checks
    watcher: Watcher
    mqtt: MqttRoad | None


def put_together(hub: OpenedHub, opener: BatchOpener, door: SitesDoor, run: Runner, stop: asyncio.Event) -> Behind:
    """All of it. On any thread; nothing of it is at work before it is used."""
    clock, stack = hub.fleet.clock, ExitStack()
    writer = _lake_writer(hub, opener, threads(stack, "lake"))
    lake = Loop("lake writer", writer.run, clock, retry_s=RETRY_S)
    auditor = _auditor(hub, opener, writer, threads(stack, "audit"))
    audit = Loop("audit", auditor.run, clock, retry_s=RETRY_S)
    checks = {"database": lambda: _database_fault(hub), "lake writer": lambda: lake.fault or writer.fault}
    merge_threads = threads(stack, "merge")
    merger = _merger(hub, opener, writer, merge_threads)
    merging = Loop("merge", merger.run, clock, retry_s=RETRY_S)
    kept_us = hub.place.settings.retention.claims * _US_PER_S
    thinner = Thinner(hub.engine, clock, threads(stack, "journal"), kept_us, lambda: writer.is_ours)
    thinning = Loop("journal", thinner.run, clock, retry_s=RETRY_S)
    forgetter = _forgetter(hub, writer, merge_threads)
    forgetting = Loop("forgetting deletes", forgetter.run, clock, retry_s=RETRY_S)
    channels = channels_of(hub, threads(stack, "broker"))
    watcher = watcher_of(hub, lambda: lake.fault or writer.fault, threads(stack, "watch"))
    watch = Loop("watch", watcher.run, clock, retry_s=RETRY_S)
    courier = Courier(hub.engine, channels, clock, hub.fleet.random, threads(stack, "courier"), watcher.has_duty)
    post = Loop("alert delivery", courier.run, clock, retry_s=RETRY_S)
    steering = Steering(hub.engine, hub.keys, clock, hub.fleet.random, threads(stack, "steering"))
    listen(hub.engine, Told.ROLLOUTS, steering.bell.ring)
    steer = Loop("steering", steering.run, clock, retry_s=RETRY_S)
    mqtt = _mqtt(hub, door, threads(stack, "mqtt", MQTT_THREADS))
    if mqtt:
        listen(hub.engine, Told.ORDERS, mqtt.push.bell.ring)
    services = _services(hub, opener, door, run, _Rooms(checks, watcher, mqtt), stop, stack)
    loops = [lake, audit, merging, forgetting, thinning, watch, post, steer, *(mqtt.loops(hub.fleet) if mqtt else ())]
    return Behind(make_app(services), loops, stack)


@contextmanager
def opened_reader(hub: OpenedHub, opener: BatchOpener, *, at_once: bool = False) -> Iterator[LakeReader]:
    """SQL and export over everything that is stored; `at_once`: what answers starts now, not at the first question."""
    workers = Workers(hub.fleet.clock.monotonic_s)
    try:
        if at_once:
            workers.warm()
        spill = Spill(hub.place.spill, hub.place.settings.lake.max_spill_bytes)
        yield LakeReader(hub.engine, opener, LakeTables(lake_of(hub.place), hub.keys.hub), workers, spill)
    finally:
        workers.close()


def _lake_writer(hub: OpenedHub, opener: BatchOpener, runner: ThreadRunner) -> LakeWriter:
    rules = hub.place.settings
    settings = LakeSettings(
        within_us=rules.lake.within * _US_PER_S, payloads_kept_us=rules.retention.payloads * _US_PER_S
    )
    tables, lease = LakeTables(lake_of(hub.place), hub.keys.hub), lease_for(hub.engine, lock_file_of(hub.place))
    return LakeWriter(hub.engine, opener, tables, lease, hub.fleet.clock, runner, settings)


def lake_care(hub: OpenedHub, opener: BatchOpener) -> LakeCare:
    """Holds the lake against the ledger, and repairs it."""
    tables = LakeTables(lake_of(hub.place), hub.keys.hub)
    return LakeCare(hub.engine, tables, Loader(hub.engine, opener), hub.fleet.clock)


def _auditor(hub: OpenedHub, opener: BatchOpener, writer: LakeWriter, runner: Runner) -> Auditor:
    settings = hub.place.settings.audit
    pace = AuditPace(settings.every * _US_PER_S, settings.rate)
    return Auditor(hub.engine, lake_care(hub, opener), writer, hub.fleet.clock, runner, pace)


def _merger(hub: OpenedHub, opener: BatchOpener, writer: LakeWriter, runner: ThreadRunner) -> Merger:
    rules = hub.place.settings.merge_rules()
    return Merger(hub.engine, opener, hub.fleet.clock, runner, rules, lambda: writer.is_ours)


def _forgetter(hub: OpenedHub, writer: LakeWriter, runner: ThreadRunner) -> Forgetter:
    tables = hub.place.settings.tables
    kept = {name: Kept(each.rules(), each.keeping()) for name, each in tables.items() if each.down}
    return Forgetter(hub.engine, hub.fleet.clock, runner, kept, lambda: writer.is_ours)


def _mqtt(hub: OpenedHub, door: SitesDoor, run: Runner) -> MqttRoad | None:
    desk = OrderDesk(hub.engine, hub.keys, hub.fleet.clock)
    settings, data_dir = hub.place.settings, hub.place.data_dir
    return road_of(settings.broker, data_dir, hub.fleet, desk, settings.web.max_connections, door.sign_in, run)


def _services(
    hub: OpenedHub,
    opener: BatchOpener,
    door: SitesDoor,
    run: Runner,
    rooms: _Rooms,
    stop: asyncio.Event,
    stack: ExitStack,
) -> Services:
    web = hub.place.settings.web
    silent_after_s = hub.place.settings.completeness.silent_after
    reporter = reporter_of(hub)
    return Services(
        fleet=hub.fleet,
        door=door,
        reporter=reporter,
        desk=desk_of(hub),
        promises=promises_of(hub),
        tables=TableDesk(hub.engine, hub.fleet.clock, hub.place.settings.merge_rules()),
        share=_share_desk(hub, stop, stack),
        orders=OrderDesks.of(hub.fleet),
        overview=Overview(hub.fleet, silent_after_s),
        lake=stack.enter_context(opened_reader(hub, opener)),
        opener=opener,
        query_timeout_s=web.query_timeout,
        max_query_rows=web.max_query_rows,
        checks=rooms.checks,
        impairments={"mqtt": rooms.mqtt.fault} if rooms.mqtt else {},
        metrics=HubMetrics(door.receiver.tally, reporter, rooms.watcher, rooms.mqtt).text,
        bodies=door.bodies,
        stopping=stop,
        run=run,
        run_long=lane(stack, "reports").begin,
        queries=lane(stack, "queries"),
        exports=lane(stack, "exports"),
    )


def _share_desk(hub: OpenedHub, stop: asyncio.Event, stack: ExitStack) -> ShareDesk:
    """Before anything is merged in this process: a start of the hub begins."""
    settings, clock = hub.place.settings, hub.fleet.clock
    rules = settings.merge_rules()
    shared = {name: Shared(rules[name], each) for name, each in settings.shared_tables().items()}
    sharer = Sharer(hub.engine, hub.fleet.random, shared)
    sharer.begin()
    run = BoundedRunner(threads(stack, "share", SHARE_THREADS), MAX_SHARING_CALLS)
    return ShareDesk(sharer, News(sharer.versions, run, clock, stop), clock, run)


def _database_fault(hub: OpenedHub) -> str:
    try:
        return schema_fault(hub.engine)
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__})"
