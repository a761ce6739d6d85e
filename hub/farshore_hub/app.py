"""The whole hub: the only place where its rooms are put together."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from farshore_hub.errors import Busy, SettingsInvalid
from farshore_hub.fleet.addresses import is_loopback, split_listen
from farshore_hub.loops import Loop
from farshore_hub.opening import OpenedHub, schema_fault
from farshore_hub.system import SystemClock, SystemRandom, ThreadRunner
from farshore_hub.web.api import make_app
from farshore_hub.web.bodies import BodyReader
from farshore_hub.web.server import Port, bind, serve
from farshore_hub.web.services import Services
from farshore_hub.web.tls import server_context

WEB_THREADS: Final = 4
TLS_CHECK_S: Final = 6 * 3600
RETRY_S: Final = 10


async def run_hub(
    hub: OpenedHub, listen: str | None, *, tls: bool, announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set; `announce` is told the address when connections are accepted.

    Raises:
        SettingsInvalid: plain HTTP on anything but loopback.
        NotReady: the port is taken.
    """
    clock = SystemClock()
    port = _port(hub, listen, tls=tls)
    web = ThreadRunner("web", WEB_THREADS)
    limits = hub.place.settings.web
    checks = {"database": lambda: schema_fault(hub.engine)}

    async def receive(_parcel: bytes, _site: str | None) -> bytes:
        raise Busy("parcels are not taken yet")

    bodies = BodyReader(limits.max_bodies_bytes, limits.body_timeout)
    services = Services(hub.fleet, receive, None, checks, lambda: b"", bodies, web)  # type: ignore[arg-type]
    loops = [Loop("TLS renewal", lambda: _keep_tls_fresh(hub, port.context), clock, retry_s=RETRY_S)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(loop.run(), name=loop.name) for loop in loops]
        await serve(make_app(services), port, announce, stop)
        for task in running:
            task.cancel()
    web.close()


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
    hub.keys.renew_tls(settings.addresses, SystemClock(), SystemRandom())
    context = server_context(hub.keys.tls_path, hub.keys.ca.pem) if tls else None
    return Port(bind(host, number), context, settings.web.max_connections, settings.web.body_timeout * 2)


async def _keep_tls_fresh(hub: OpenedHub, context: ssl.SSLContext | None) -> None:
    """Renew the hub's TLS certificate in time; connections made from then on see the new one."""
    clock = SystemClock()
    while context is not None:
        await clock.sleep(TLS_CHECK_S)
        if hub.keys.renew_tls(hub.place.settings.addresses, clock, SystemRandom()):
            context.load_cert_chain(hub.keys.tls_path)
