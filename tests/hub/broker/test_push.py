"""The hub at a broker that says what it likes: what waits is bounded, and nothing of it is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from farshore_hub.broker import push as room
from farshore_hub.broker.push import Outgoing, Push, hello_of
from farshore_hub.errors import NotAuthentic
from farshore_protocol.topics import ABSENT, PRESENT, Topics, What
from farshore_shell.mqtt.client import Endpoint
from farshore_shell.mqtt.packets import Message
from farshore_shell.system import real_world
from tests.contracts.hub_world import threaded

HUB = b"hub-name"
TOPICS = Topics(HUB)


class Desk:
    """Takes reports of the site `good` only."""

    def __init__(self) -> None:
        self.brought: list[tuple[bytes, str]] = []

    def unpublished(self) -> Sequence[Outgoing]:
        return []

    def published(self, ids: Collection[int]) -> None:
        raise AssertionError

    def publish_again(self, sites: Collection[str] | None = None) -> None:
        raise AssertionError

    def take_reports(self, brought: Sequence[tuple[bytes, str]]) -> list[int | Exception]:
        self.brought += brought
        return [1 if site == "good" else NotAuthentic("it is not") for _, site in brought]


def made(desk: Desk) -> Push:
    return Push(desk, HUB, Endpoint("127.0.0.1", 1, None, "", 1000, 1000), hello_of("", ""), real_world(), threaded)


def hear(push: Push, site: str, what: What, payload: bytes, *, retain: bool = False) -> None:
    push._hear(Message(TOPICS.of(site, what), payload, retain))


async def taken(push: Push, count: int) -> None:
    taking = asyncio.create_task(push._take())
    while push.tally.taken + sum(push.tally.refused.values()) < count:  # noqa: ASYNC110 - counts ring no bell
        await asyncio.sleep(0.001)
    taking.cancel()


async def test_of_one_site_only_the_newest_report_waits() -> None:
    desk = Desk()
    push = made(desk)
    for report in (b"1", b"22", b"333"):
        hear(push, "good", What.REPORT, report)
    hear(push, "bad", What.REPORT, b"4")
    await taken(push, 2)
    assert desk.brought == [(b"333", "good"), (b"4", "bad")]
    assert (push.tally.taken, dict(push.tally.refused)) == (1, {"NotAuthentic": 1})
    assert push._waiting_bytes == 0


async def test_what_finds_no_room_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_WAITING_BYTES", 10)
    desk = Desk()
    push = made(desk)
    hear(push, "good", What.REPORT, bytes(8))
    hear(push, "late", What.REPORT, bytes(3))
    hear(push, "good", What.REPORT, bytes(10))
    await taken(push, 1)
    assert desk.brought == [(bytes(10), "good")]
    assert push.tally.dropped == 1


def test_presence_is_a_hint_of_known_topics_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_SITES", 2)
    push = made(Desk())
    for site in ("a", "b", "c", "No-Site"):
        hear(push, site, What.PRESENCE, PRESENT)
    push._hear(Message("farshore/elsewhere/d/presence", PRESENT))
    assert push.present == {"a", "b"}
    hear(push, "a", What.PRESENCE, ABSENT)
    hear(push, "never-there", What.PRESENCE, b"?")
    assert push.present == {"b"}


def test_orders_of_others_are_not_looked_at() -> None:
    push = made(Desk())
    hear(push, "good", What.SETTINGS, b"an order")
    assert not push._reports
