"""The forwarder's loop with a real buffer, a hub behind a link that the test controls, and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from farshore_agent.buffer import Admitted, Buffer, OutboxBatch
from farshore_agent.errors import BufferBroken, BufferFull
from farshore_agent.forward.courier import Courier, Credentials
from farshore_agent.forward.forwarder import Forwarder, Outside
from farshore_agent.forward.link import HubProblem, LinkBusy, LinkDown, LinkRefused
from farshore_agent.forward.report import LinkReport
from farshore_agent.identity.epoch import new_epoch
from farshore_agent.identity.identity import Identity
from farshore_agent.identity.keys import certificate_request, create_keys, identity_of
from farshore_agent.settings import BufferSettings, ForwardSettings, SealSettings, StreamPolicies
from farshore_protocol import wire
from farshore_protocol.batch import digest_of
from farshore_protocol.enrolment import EnrolmentRequest, read_membership
from farshore_protocol.limits import KIB
from farshore_protocol.messages import Refused
from farshore_protocol.parcel import parse_parcel
from farshore_protocol.urgency import Urgency
from farshore_shell.system import SystemRandom
from tests.agent.forward.hub_stub import SITE, HubStub

T = TypeVar("T")
Fault = Exception | Callable[[bytes], bytes]
START_US = 1_795_435_200_000_000


def _no_doubt(_why: str, _untrusted: bool) -> None:
    pass


@dataclass
class TestClock:
    """Time passes only while somebody sleeps, and then at once."""

    __test__ = False
    now_s: float = 1_000.0

    def now_us(self) -> int:
        return START_US + round(self.now_s * 1_000_000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now_s += seconds


@dataclass
class TestLink:
    """Brings parcels to the hub, unless a fault is next."""

    __test__ = False
    hub: HubStub
    clock: TestClock
    faults: list[Fault] = field(default_factory=list)
    sent_at_s: list[float] = field(default_factory=list)
    took_s: float = 0.5
    address: str = "test"

    async def exchange(self, parcel: bytes, *, urgency: Urgency, timeout_s: float) -> bytes:
        self.sent_at_s.append(self.clock.now_s)
        self.clock.now_s += self.took_s
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        return fault(parcel) if fault else self.hub.receive(parcel, SITE)

    async def close(self) -> None:
        pass


@dataclass
class Site:
    buffer: Buffer
    forwarder: Forwarder
    link: TestLink
    clock: TestClock
    renewals: list[str]
    epochs: list[bytes]
    linked_s: list[float]

    async def append(self, stream: str, count: int) -> None:
        records: list[dict[str, Any]] = [{"ts": START_US, "n": at} for at in range(count)]
        await self.buffer.append(stream, Admitted(records, START_US, START_US, 30 * count, []))
        await self.buffer.seal_due(link_up=True, flush=True)

    async def pending(self) -> int:
        return sum(stream.pending for stream in (await self.buffer.status()).streams)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.forwarder.turn()


async def inline(work: Callable[[], T]) -> T:
    return work()


def identity_of_site(hub: HubStub) -> Identity:
    keys = create_keys(SystemRandom())
    hub.tokens[bytes(16)] = SITE
    public = keys.signer().public_key().public_bytes_raw()
    raw = hub._enrol(wire.pack(EnrolmentRequest(SITE, bytes(16), certificate_request(keys, SITE), public)))
    return identity_of(keys, read_membership(raw))


@pytest.fixture
def hub(tmp_path: Path) -> HubStub:
    return HubStub(tmp_path, clock_us=START_US + 5_000_000_000)


@pytest.fixture
async def site(hub: HubStub, tmp_path: Path) -> AsyncIterator[Site]:
    clock, random = TestClock(), SystemRandom()
    identity = identity_of_site(hub)
    buffer = await Buffer.open(
        tmp_path / "buffer.db",
        settings=BufferSettings(),
        seal=SealSettings(),
        policies=StreamPolicies(),
        clock=clock,
        random=random,
        runner=inline,
    )
    site_epochs: list[bytes] = []

    async def fresh_epoch() -> None:
        epoch, key = new_epoch(identity, clock, random)
        site_epochs.append(epoch.id)
        await buffer.use_epoch(epoch, key)

    await fresh_epoch()
    renewals: list[str] = []
    linked_s: list[float] = []
    link = TestLink(hub, clock)
    forwarder = Forwarder(
        buffer=buffer,
        link=link,
        courier=Courier(buffer, Credentials(identity.site, identity.signer, identity.hub_keys), clock, inline),
        settings=ForwardSettings(heartbeat_s=60, backoff_min_s=1, backoff_max_s=300),
        clock=clock,
        random=random,
        report=LinkReport(),
        outside=Outside(
            renewals.append, _no_doubt, fresh_epoch, lambda: None, lambda: linked_s.append(clock.monotonic_s())
        ),
    )
    yield Site(buffer, forwarder, link, clock, renewals, site_epochs, linked_s)
    await buffer.close()


def refused(status: int) -> LinkRefused:
    return LinkRefused(HubProblem(status, "kind", "title"))


async def test_retry_after_is_obeyed(site: Site) -> None:
    await site.append("boiler", 10)
    site.link.faults = [LinkBusy("later", retry_after_s=17)]
    await site.turns(3)
    first, second = site.link.sent_at_s
    assert second - first == pytest.approx(17 + site.link.took_s)
    assert await site.pending() == 0


async def test_it_is_told_when_the_link_is_up_and_was_not(site: Site) -> None:
    """What lingers for minutes without a link and for seconds with one is due then, and must not wait for a look."""
    await site.turns(4)
    assert len(site.linked_s) == 1
    site.link.faults = [LinkDown("cut"), LinkDown("cut")]
    while site.link.faults or not site.forwarder.link_up:
        await site.turns(1)
    assert site.linked_s[1:] == [pytest.approx(site.link.sent_at_s[-1] + site.link.took_s)]


async def test_an_idle_site_is_heard_once_a_minute(site: Site) -> None:
    await site.turns(7)
    gaps = [after - before for before, after in zip(site.link.sent_at_s, site.link.sent_at_s[1:], strict=False)]
    assert gaps == [pytest.approx(60 + site.link.took_s)] * 3


async def test_everything_is_said_at_the_start_and_after_a_restart_of_the_hub(site: Site, hub: HubStub) -> None:
    await site.turns(3)
    hub.restore(hub.back_up())
    await site.turns(4)
    assert [statement.whole for statement in hub.statements] == [True, False, False, True]


async def test_small_urgent_batches_share_a_parcel(site: Site, hub: HubStub) -> None:
    for stream in ("a", "b", "c"):
        await site.append(stream, 10)
    await site.turns(1)
    assert [len(parcel.batches) for parcel in hub.parcels] == [3]


async def test_a_backlog_drains_in_order_and_nothing_goes_twice(site: Site, hub: HubStub) -> None:
    for _ in range(60):
        await site.append("boiler", 2000)
    await site.turns(60)
    digests = [digest_of(batch) for parcel in hub.parcels for batch in parcel.batches]
    assert len(digests) == len(set(digests)) == 60
    assert await site.pending() == 0
    assert hub.ledger.resent == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (LinkDown("cut"), "down"),
        (LinkDown("slow", timed_out=True), "timed-out"),
        (LinkBusy("busy", retry_after_s=None), "busy"),
        (refused(403), "refused"),
        (refused(413), "too-large"),
        (refused(500), "not-taken"),
        (RuntimeError("a bug"), "ours"),
        (lambda _: b"garbage", "bad-answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whatever_goes_wrong_is_counted_and_tried_again(site: Site, fault: Fault, outcome: str) -> None:
    await site.append("boiler", 10)
    site.link.faults = [fault]
    await site.forwarder.turn()
    assert site.forwarder.report.exchanges[outcome] == 1
    assert site.forwarder.report.last_error
    await site.turns(6)
    assert await site.pending() == 0
    assert site.forwarder.report.last_error == ""


def failing_at(hub: HubStub, *culprits: bytes) -> Fault:
    """A hub that answers 500 to every parcel with one of these batches."""

    def receive(parcel: bytes) -> bytes:
        if any(digest_of(raw) in culprits for raw in parse_parcel(parcel).batches):
            raise refused(500)
        return hub.receive(parcel, SITE)

    return receive


async def test_what_the_hub_fails_at_does_not_hold_up_what_is_behind_it(site: Site, hub: HubStub) -> None:
    for _ in range(20):
        await site.append("boiler", 10)
    waiting = await site.buffer.waiting(max_bytes=2**20, max_batches=100)
    culprits = [waiting[0].digest, waiting[13].digest]
    site.link.faults = [failing_at(hub, *culprits)] * 1_000
    await site.turns(60)
    assert await site.pending() == 20
    assert [each.batch for each in site.forwarder.report.set_aside] == [each.hex() for each in culprits]
    assert len(site.link.sent_at_s) < 45
    site.link.faults.clear()
    await site.append("boiler", 10)
    await site.turns(200)
    assert await site.pending() == 0
    assert site.forwarder.report.set_aside == []
    assert hub.ledger.resent == 0


async def test_a_hub_that_fails_at_everything_has_nothing_set_aside(site: Site) -> None:
    for _ in range(5):
        await site.append("boiler", 10)
    site.link.faults = [refused(500)] * 40
    await site.turns(60)
    assert site.forwarder.report.set_aside == []
    site.link.faults.clear()
    await site.turns(10)
    assert await site.pending() == 0


async def test_a_certificate_that_the_hub_does_not_know_is_renewed(site: Site) -> None:
    site.link.faults = [refused(401)]
    await site.forwarder.turn()
    assert len(site.renewals) == 1


async def test_an_answer_of_somebody_else_changes_nothing(site: Site, hub: HubStub, tmp_path: Path) -> None:
    stranger = HubStub(tmp_path)
    stranger.signing_keys = hub.signing_keys
    stranger._sealing = hub._sealing
    await site.append("boiler", 10)
    site.link.faults = [lambda parcel: stranger.receive(parcel, SITE)]
    await site.forwarder.turn()
    assert await site.pending() == 10
    assert site.forwarder.report.exchanges["bad-answer"] == 1
    assert len(site.renewals) == 1


async def test_a_hub_that_acknowledges_nothing_is_not_asked_in_a_tight_loop(site: Site, hub: HubStub) -> None:
    def forgetful(parcel: bytes) -> bytes:
        before = hub.back_up()
        hub._store = lambda raw: None  # type: ignore[method-assign]
        hub.ledger = before
        return hub.receive(parcel, SITE)

    await site.append("boiler", 10)
    site.link.faults = [forgetful]
    await site.forwarder.turn()
    assert site.forwarder.report.failures == 1
    assert "acknowledges nothing" in site.forwarder.report.last_error


async def test_an_unknown_key_is_sent_along_the_next_time(site: Site, hub: HubStub) -> None:
    await site.append("boiler", 10)
    await site.turns(1)
    hub.ledger.epochs.clear()
    await site.append("boiler", 10)
    await site.turns(2)
    assert await site.pending() == 0
    assert site.forwarder.report.refusals[Refused.UNKNOWN_EPOCH] == 1


async def test_a_fork_begins_a_new_life_under_a_new_key(site: Site, hub: HubStub) -> None:
    await site.append("boiler", 10)
    before = site.buffer.incarnation
    hub.fork_next = True
    await site.turns(1)
    assert site.buffer.incarnation != before
    assert len(site.epochs) == 2
    await site.append("boiler", 5)
    await site.turns(3)
    assert await site.pending() == 0


async def test_a_new_life_gets_its_key_although_the_disk_did_not_take_it_at_first(
    site: Site, hub: HubStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation: nothing was ever sealed again."""
    await site.append("boiler", 3)
    hub.fork_next = True
    with monkeypatch.context() as broken:
        broken.setattr(
            site.forwarder, "_outside", Outside(site.renewals.append, _no_doubt, _full, lambda: None, lambda: None)
        )
        await site.turns(2)
    assert site.buffer.needs_epoch
    hub.fork_next = False
    await site.turns(2)
    await site.append("boiler", 3)
    await site.turns(2)
    assert await site.pending() == 0


async def _full() -> None:
    raise BufferFull("the disk is full")


async def test_a_buffer_that_cannot_be_read_is_not_asked_in_a_tight_loop(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation: with a failing disk the forwarder took all of a processor."""

    async def broken(**_: int) -> list[OutboxBatch]:
        raise BufferBroken("the disk does not read")

    monkeypatch.setattr(site.buffer, "waiting", broken)
    began_s = site.clock.now_s
    await site.turns(20)
    assert site.forwarder.report.exchanges["ours"] == 20
    assert site.clock.now_s - began_s > 10


async def test_the_clocks_difference_is_learnt(site: Site) -> None:
    await site.forwarder.turn()
    offset = site.forwarder.report.offset
    assert offset is not None
    assert offset.offset_us == 4_000_000_000 - 250_000
    assert offset.error_us == 250_000


async def test_a_link_that_is_too_slow_gets_smaller_parcels(site: Site, hub: HubStub) -> None:
    for _ in range(40):
        await site.append("boiler", 3000)
    site.link.faults = [LinkDown("slow", timed_out=True)]
    await site.turns(3)
    assert site.forwarder.report.limit_bytes < 64 * KIB
