"""The hub's own certificate is replaced while it serves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography import x509
from sqlalchemy import create_engine

from farshore_hub.fleet.context import Fleet
from farshore_hub.fleet.keys import HubKeys
from farshore_hub.web.tls import keep_fresh, server_context
from farshore_shell.system import SystemRandom
from tests.hub.fleet.site import DAY_S, TurnableClock

ADDRESSES = ["https://hub.example.org:8443"]


class YearlyClock(TurnableClock):
    """Every sleep lasts most of a year, and the second one for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if self.us > TurnableClock().us:
            self.slept.set()
            await asyncio.Event().wait()
        self.turn_days(300)


def presented(server: ssl.SSLContext, ca: bytes) -> x509.Certificate:
    """The certificate that a new connection is shown."""
    client = ssl.create_default_context(cadata=ca.decode())
    client.verify_flags |= 0x200000  # the test's clock is not this machine's
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname="farshore-hub")
    for side in (asking, serving, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = asking.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown)


async def test_connections_made_after_a_renewal_are_shown_the_new_certificate(tmp_path: Path) -> None:
    clock = YearlyClock()
    keys = HubKeys.create(tmp_path / "keys", clock, SystemRandom())
    fleet = Fleet(create_engine("sqlite://"), keys, ADDRESSES, DAY_S, DAY_S, clock, SystemRandom())
    keys.renew_tls(ADDRESSES, clock, fleet.random)
    context = server_context(keys.tls_path, keys.ca.pem)
    before = presented(context, keys.ca.pem)
    task = asyncio.create_task(keep_fresh(fleet, context))
    await clock.slept.wait()
    task.cancel()
    after = presented(context, keys.ca.pem)
    assert after.serial_number != before.serial_number
    assert after.not_valid_after_utc > before.not_valid_after_utc
