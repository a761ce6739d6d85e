"""The whole hub: here, and in `behind`, its rooms are put together, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from farshore_hub.errors import NotReady, SettingsInvalid
from farshore_hub.fleet.addresses import is_loopback, split_listen
from farshore_hub.fleet.signin import Peer, sites_of
from farshore_hub.opening import OpenedHub
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.receive.receiver import ARCHIVED, Receiver
from farshore_hub.settings.rooms import Web
from farshore_hub.store.engine import LIBRARY_REMEDY, fold_log, library_fault
from farshore_hub.web.bodies import BodyReader
from farshore_hub.web.door import SitesDoor, with_door
from farshore_hub.web.gate import Bounds
from farshore_hub.web.server import Port, bind, serve
from farshore_hub.web.tls import keep_fresh, server_context
from farshore_hub.work.groups import GroupBounds, Groups, Outcomes
from farshore_hub.work.loops import Loop
from farshore_hub.work.threads import threads
from farshore_protocol.ports import Runner
from farshore_shell.system import open_files

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from farshore_hub.behind import Behind

SHORT_THREADS: Final = 4
VERIFY_THREADS: Final = 2
SIGNED_IN: Final = GroupBounds(members=256)
"""Sites whose certificates are looked up in one query."""
RETRY_S: Final = 10
RESERVED_FILES: Final = 512
"""For the database, the lake and whatever else is not a connection."""

_log: Final = logging.getLogger(__name__)

Threads = Callable[[ExitStack, str, int], Runner]
"""Makes a runner with that name and so many threads, which end with the stack."""


async def run_hub(
    hub: OpenedHub, listen: str | None, *, tls: bool, announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set; `announce` is told the address when connections are accepted.

    Parcels are taken from then on. What stands behind the port is loaded meanwhile; who asks for it waits so long.

    Raises:
        SettingsInvalid: plain HTTP on anything but loopback.
        NotReady: the port is taken.
    """
    port = _port(hub, listen, tls=tls)
    with ExitStack() as stack:
        opener = BatchOpener(hub.engine, hub.keys)
        receiver = stack.enter_context(opened_receiver(hub, opener))
        run = threads(stack, "web", SHORT_THREADS)
        door = _door(hub, receiver, run)
        behind = _Behind(lambda: load_behind(hub, opener, door, run, stop), stack, stop)
        renewal = Loop("TLS renewal", lambda: keep_fresh(hub.fleet, port.context), hub.fleet.clock, retry_s=RETRY_S)

        def opened(address: str) -> None:
            behind.may_load.set()
            announce(address)

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each.run()) for each in (behind, renewal)]
            await serve(with_door(door, behind.answer), port, opened, stop)
            for task in running:
                task.cancel()
        behind.check()


def load_behind(hub: OpenedHub, opener: BatchOpener, door: SitesDoor, run: Runner, stop: asyncio.Event) -> Behind:
    """Load what stands behind the port, which takes longer than everything before, and put it together."""
    from farshore_hub.behind import put_together  # noqa: PLC0415 - the one module that is loaded late: see its header

    return put_together(hub, opener, door, run, stop)


class _Behind:
    """What stands behind the port, from when it is asked for until it is there, and then at work."""

    def __init__(self, load: Callable[[], Behind], stack: ExitStack, stop: asyncio.Event) -> None:
        self.may_load = asyncio.Event()
        self._load = load
        self._stop = stop
        self._loader = threads(stack, "load")
        self._loaded: asyncio.Future[Behind] = asyncio.get_running_loop().create_future()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as soon as there is who can."""
        behind = await asyncio.shield(self._loaded)
        await behind.app(scope, receive, send)

    async def run(self) -> None:
        """Load it and run its loops, until cancelled. What cannot be loaded ends the hub."""
        await self.may_load.wait()
        try:
            loaded = await self._loader(self._load)
        except Exception as error:  # noqa: BLE001 - whatever it is, `check` raises it
            self._loaded.set_exception(error)
            self._stop.set()
            return
        with loaded:
            self._loaded.set_result(loaded)
            async with asyncio.TaskGroup() as tasks:
                for loop in loaded.loops:
                    tasks.create_task(loop.run(), name=loop.name)

    def check(self) -> None:
        """Raise why it could not be loaded, if so."""
        if self._loaded.done() and (error := self._loaded.exception()):
            raise error


def _door(hub: OpenedHub, receiver: Receiver, run: Runner) -> SitesDoor:
    web = hub.place.settings.web

    async def signed_in(peers: list[Peer]) -> Outcomes[str]:
        return await run(lambda: sites_of(hub.fleet, peers))

    return SitesDoor(
        receiver=receiver,
        bodies=BodyReader(web.max_bodies_bytes, web.body_timeout),
        sign_in=Groups(signed_in, SIGNED_IN),
    )


@contextmanager
def opened_receiver(hub: OpenedHub, opener: BatchOpener, threads: Threads = threads) -> Iterator[Receiver]:
    """The receiver of this hub with threads of its own; also for parcels that come as files.

    Raises:
        NotReady: the database's library can damage it, or another process keeps its log from being folded.
    """
    if fault := library_fault(hub.engine):
        raise NotReady(fault, remedy=LIBRARY_REMEDY)
    fold_log(hub.engine)
    with ExitStack() as stack:
        receiver = Receiver(
            hub.engine,
            hub.keys,
            opener,
            clock=hub.fleet.clock,
            random=hub.fleet.random,
            verify_on=threads(stack, "verify", VERIFY_THREADS),
            commit_on=threads(stack, "commit", 1),
            archived=ARCHIVED[hub.place.settings.retention.archive],
        )
        receiver.quota.max_bytes = hub.place.settings.sites.max_kept_bytes
        receiver.broker = hub.place.settings.broker.told(hub.fleet.addresses[0])
        receiver.admission.room_bytes = hub.place.settings.web.max_bodies_bytes // 2
        yield receiver


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
    context = server_context(hub.keys.tls_path, hub.keys.trusted_pem) if tls else None
    return Port(bind(host, number), context, _bounds(settings.web, tls=tls), settings.web.body_timeout * 2)


def _bounds(web: Web, *, tls: bool) -> Bounds:
    """As the settings say, unless this process may not open so many files: the database and the lake need some too."""
    files = open_files()
    in_all = min(web.max_connections, max(1, files - min(RESERVED_FILES, files // 2)))
    if in_all < web.max_connections:
        _log.warning("%s connections at most: this process may open %s files (LimitNOFILE, ulimit -n)", in_all, files)
    return Bounds(in_all, min(web.max_connections_per_address, max(1, in_all // 2)) if tls else in_all)
