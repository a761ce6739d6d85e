"""The whole hub: the only place where its rooms are put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from farshore_hub.alerting import channels_of, desk_of, promises_of, watcher_of
from farshore_hub.audit.auditor import Auditor, AuditPace
from farshore_hub.audit.lake import LakeCare
from farshore_hub.bounded import BoundedRunner
from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.fleet.addresses import is_loopback, split_listen
from farshore_hub.fleet.signin import Peer, sites_of
from farshore_hub.groups import GroupBounds, Groups, Outcomes
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.reader import LakeReader
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.worker.workers import Workers
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.loops import Loop
from farshore_hub.merger import Merger, Rules
from farshore_hub.notify.courier import Courier
from farshore_hub.opening import OpenedHub, reporter_of, schema_fault
from farshore_hub.overview import Overview
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.receiver import Receiver, archived_when_stored, never_archived
from farshore_hub.settings import Web
from farshore_hub.store.engine import LIBRARY_REMEDY, fold_log, library_fault
from farshore_hub.watch.watcher import Watcher
from farshore_hub.web.api import make_app
from farshore_hub.web.bodies import BodyReader
from farshore_hub.web.gate import Bounds
from farshore_hub.web.metrics import HubMetrics
from farshore_hub.web.server import Port, bind, serve
from farshore_hub.web.services import Services
from farshore_hub.web.tls import keep_fresh, server_context
from farshore_protocol.ports import Runner
from farshore_shell.system import ThreadRunner, open_files

SHORT_THREADS: Final = 4
LONG_THREADS: Final = 2
MAX_LONG_CALLS: Final = 16
VERIFY_THREADS: Final = 2
SIGNED_IN: Final = GroupBounds(members=256)
"""Sites whose certificates are looked up in one query."""
RETRY_S: Final = 10
RESERVED_FILES: Final = 512
"""For the database, the lake and whatever else is not a connection."""

_log: Final = logging.getLogger(__name__)
_US_PER_S: Final = 1_000_000

Checks = dict[str, Callable[[], str]]
"""By name: what is wrong just now, or nothing."""


Threads = Callable[[ExitStack, str, int], Runner]
"""Makes a runner with that name and so many threads, which end with the stack."""


def _threads(stack: ExitStack, name: str, count: int = 1) -> ThreadRunner:
    runner = ThreadRunner(name, count)
    stack.callback(runner.close)
    return runner


async def run_hub(
    hub: OpenedHub, listen: str | None, *, tls: bool, announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set; `announce` is told the address when connections are accepted.

    Raises:
        SettingsInvalid: plain HTTP on anything but loopback.
        NotReady: the port is taken.
    """
    clock = hub.fleet.clock
    port = _port(hub, listen, tls=tls)
    with ExitStack() as stack:
        opener = BatchOpener(hub.engine, hub.keys)
        receiver = stack.enter_context(opened_receiver(hub, opener))
        writer = _lake_writer(hub, opener, _threads(stack, "lake"))
        lake = Loop("lake writer", writer.run, clock, retry_s=RETRY_S)
        auditor = _auditor(hub, opener, writer, _threads(stack, "audit"))
        audit = Loop("audit", auditor.run, clock, retry_s=RETRY_S)
        merger = _merger(hub, opener, writer, _threads(stack, "merge"))
        merging = Loop("merge", merger.run, clock, retry_s=RETRY_S)
        renewal = Loop("TLS renewal", lambda: keep_fresh(hub.fleet, port.context), clock, retry_s=RETRY_S)
        channels = channels_of(hub, _threads(stack, "broker"))
        watcher = watcher_of(hub, channels, lambda: lake.fault or writer.fault, _threads(stack, "watch"))
        watch = Loop("watch", watcher.run, clock, retry_s=RETRY_S)
        courier = Courier(hub.engine, channels, clock, hub.fleet.random, _threads(stack, "courier"), watcher.has_duty)
        post = Loop("alert delivery", courier.run, clock, retry_s=RETRY_S)
        checks = {"database": lambda: _database_fault(hub), "lake writer": lambda: lake.fault or writer.fault}
        services = _services(hub, receiver, opener, checks, watcher, stop, stack)
        async with asyncio.TaskGroup() as tasks:
            loops = (lake, renewal, audit, merging, watch, post)
            running = [tasks.create_task(loop.run(), name=loop.name) for loop in loops]
            await serve(make_app(services), port, announce, stop)
            for task in running:
                task.cancel()


@contextmanager
def opened_receiver(hub: OpenedHub, opener: BatchOpener, threads: Threads = _threads) -> Iterator[Receiver]:
    """The receiver of this hub with threads of its own; also for parcels that come as files.

    Raises:
        NotReady: the database's library can damage it, or another process keeps its log from being folded.
    """
    if fault := library_fault(hub.engine):
        raise NotReady(fault, remedy=LIBRARY_REMEDY)
    fold_log(hub.engine)
    keeps = hub.place.settings.retention.archive == "never"
    with ExitStack() as stack:
        receiver = Receiver(
            hub.engine,
            hub.keys,
            opener,
            clock=hub.fleet.clock,
            random=hub.fleet.random,
            verify_on=threads(stack, "verify", VERIFY_THREADS),
            commit_on=threads(stack, "commit", 1),
            archived=never_archived if keeps else archived_when_stored,
        )
        receiver.quota.max_bytes = hub.place.settings.sites.max_kept_bytes
        receiver.admission.room_bytes = hub.place.settings.web.max_bodies_bytes // 2
        yield receiver


@contextmanager
def opened_reader(hub: OpenedHub, opener: BatchOpener, *, at_once: bool = False) -> Iterator[LakeReader]:
    """SQL and export over everything that is stored; `at_once`: what answers starts now, not at the first question."""
    workers = Workers(hub.fleet.clock.monotonic_s)
    try:
        if at_once:
            workers.warm()
        yield LakeReader(hub.engine, opener, LakeTables(hub.place.lake, hub.keys.hub), workers)
    finally:
        workers.close()


def _merger(hub: OpenedHub, opener: BatchOpener, writer: LakeWriter, runner: ThreadRunner) -> Merger:
    declared = hub.place.settings.tables
    rules = {name: Rules(each.policy, each.columns, each.deletes) for name, each in declared.items()}
    return Merger(hub.engine, opener, hub.fleet.clock, runner, rules, lambda: writer.is_ours)


def _lake_writer(hub: OpenedHub, opener: BatchOpener, runner: ThreadRunner) -> LakeWriter:
    rules = hub.place.settings
    settings = LakeSettings(
        within_us=rules.lake.within * _US_PER_S, payloads_kept_us=rules.retention.payloads * _US_PER_S
    )
    return LakeWriter(hub.engine, opener, LakeTables(hub.place.lake, hub.keys.hub), hub.fleet.clock, runner, settings)


def lake_care(hub: OpenedHub, opener: BatchOpener) -> LakeCare:
    """Holds the lake against the ledger, and repairs it."""
    tables = LakeTables(hub.place.lake, hub.keys.hub)
    return LakeCare(hub.engine, tables, Loader(hub.engine, opener), hub.fleet.clock)


def _auditor(hub: OpenedHub, opener: BatchOpener, writer: LakeWriter, runner: Runner) -> Auditor:
    settings = hub.place.settings.audit
    pace = AuditPace(settings.every * _US_PER_S, settings.rate)
    return Auditor(hub.engine, lake_care(hub, opener), writer, hub.fleet.clock, runner, pace)


def _services(
    hub: OpenedHub,
    receiver: Receiver,
    opener: BatchOpener,
    checks: Checks,
    watcher: Watcher,
    stop: asyncio.Event,
    stack: ExitStack,
) -> Services:
    web = hub.place.settings.web
    silent_after_s = hub.place.settings.completeness.silent_after
    reporter = reporter_of(hub)
    long = _threads(stack, "reports", LONG_THREADS)
    run = _threads(stack, "web", SHORT_THREADS)

    async def signed_in(peers: list[Peer]) -> Outcomes[str]:
        return await run(lambda: sites_of(hub.fleet, peers))

    return Services(
        fleet=hub.fleet,
        receiver=receiver,
        reporter=reporter,
        desk=desk_of(hub),
        promises=promises_of(hub),
        overview=Overview(hub.fleet, silent_after_s),
        lake=stack.enter_context(opened_reader(hub, opener)),
        opener=opener,
        query_timeout_s=web.query_timeout,
        max_query_rows=web.max_query_rows,
        checks=checks,
        metrics=HubMetrics(receiver.tally, reporter, watcher).text,
        bodies=BodyReader(web.max_bodies_bytes, web.body_timeout),
        sign_in=Groups(signed_in, SIGNED_IN),
        stopping=stop,
        run=run,
        run_long=BoundedRunner(long, MAX_LONG_CALLS),
        run_more=long,
    )


def _database_fault(hub: OpenedHub) -> str:
    try:
        return schema_fault(hub.engine)
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__})"


def _port(hub: OpenedHub, listen: str | None, *, tls: bool) -> Port:
    settings = hub.place.settings
    try:
        host, number = split_listen(listen or settings.listen)
    except ValueError as error:
        raise SettingsInvalid(str(error)) from None
    if not tls and not is_loopback(host):
        raise SettingsInvalid(
            f"--no-tls listens on this machine only, and {host} is reached from elsewhere",
            remedy="add --listen 127.0.0.1:8080 and let a proxy on this machine do TLS, or leave out --no-tls",
        )
    hub.keys.renew_tls(settings.addresses, hub.fleet.clock, hub.fleet.random)
    context = server_context(hub.keys.tls_path, hub.keys.ca.pem) if tls else None
    return Port(bind(host, number), context, _bounds(settings.web, tls=tls), settings.web.body_timeout * 2)


def _bounds(web: Web, *, tls: bool) -> Bounds:
    """As the settings say, unless this process may not open so many files: the database and the lake need some too."""
    files = open_files()
    in_all = min(web.max_connections, max(1, files - min(RESERVED_FILES, files // 2)))
    if in_all < web.max_connections:
        _log.warning("%s connections at most: this process may open %s files (LimitNOFILE, ulimit -n)", in_all, files)
    return Bounds(in_all, min(web.max_connections_per_address, max(1, in_all // 2)) if tls else in_all)
