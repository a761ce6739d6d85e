"""Open pages are told what changes, no more and no less, within bounds and as long as their session lives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from farshore_hub.errors import Busy, HubError, Unauthenticated, Unknown
from farshore_hub.web.pages import live
from farshore_hub.web.pages.live import Live, Pieces, Watch

ONE = Pieces({"a": "<i id=a>1", "b": "<i id=b>1"}, {"list": ["a", "b"]})
TWO = Pieces({"a": "<i id=a>1", "b": "<i id=b>2"}, {"list": ["a", "b"]})
TURNED = Pieces({"a": "<i id=a>1", "b": "<i id=b>2"}, {"list": ["b", "a"]})


@dataclass
class Page:
    """A page that is looked at; an error in the list is raised."""

    looks: list[Pieces | HubError]
    over: bool = False
    seen: int = field(default=0)

    async def look(self) -> Pieces:
        found = self.looks[min(self.seen, len(self.looks) - 1)]
        self.seen += 1
        if isinstance(found, HubError):
            raise found
        return found

    async def allowed(self) -> None:
        if self.over:
            raise Unauthenticated("over")

    def watch(self, shown: str = "", whose: str = "ada") -> Watch:
        return Watch(whose, self.look, self.allowed, shown)


def told(raw: bytes) -> tuple[str, str, Any]:
    fields = dict(line.split(": ", 1) for line in raw.decode().strip().splitlines())
    return fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])


@pytest.fixture
def pages() -> Live:
    return Live(asyncio.Event(), poll_s=0.001)


async def first(events: AsyncIterator[bytes], count: int) -> list[tuple[str, str, Any]]:
    found = []
    async for raw in events:
        if raw.startswith(b"event"):
            found.append(told(raw))
        if len(found) == count:
            break
    return found


async def test_a_page_is_told_what_has_changed_and_nothing_else(pages: Live) -> None:
    [change, turn] = await first(pages.events(Page([ONE, TWO, TWO, TURNED]).watch(ONE.state)), 2)
    assert change == ("pieces", TWO.state, {"html": {"b": "<i id=b>2"}, "lists": {}})
    assert turn == ("pieces", TURNED.state, {"html": {}, "lists": {"list": ["b", "a"]}})


async def test_a_page_that_shows_something_else_is_told_all(pages: Live) -> None:
    [everything] = await first(pages.events(Page([TWO]).watch(ONE.state)), 1)
    assert everything == ("pieces", TWO.state, {"html": dict(TWO.html), "lists": dict(TWO.lists)})


async def test_a_session_that_ends_is_told_so_and_no_more(pages: Live) -> None:
    page = Page([ONE])
    events = pages.events(page.watch())
    assert (await first(events, 1))[0][0] == "pieces"
    page.over = True
    rest = [told(raw) async for raw in events]
    assert [kind for kind, _, _ in rest] == ["ended"]


async def test_what_cannot_be_shown_any_more_is_said(pages: Live) -> None:
    rest = [told(raw) async for raw in pages.events(Page([Unknown("no such site")]).watch()) if b"data" in raw]
    assert rest == [("failed", "", {"detail": "no such site"})]


async def test_a_busy_hub_is_waited_for(pages: Live) -> None:
    found = await first(pages.events(Page([ONE, Busy("later"), TWO]).watch(ONE.state)), 1)
    assert found[0][2]["html"] == {"b": "<i id=b>2"}


async def test_a_hub_that_stops_ends_its_listeners() -> None:
    stopping = asyncio.Event()
    pages = Live(stopping, poll_s=60)
    events = pages.events(Page([ONE]).watch())
    assert (await first(events, 1))[0][0] == "pieces"
    stopping.set()
    async with asyncio.timeout(30):
        assert [raw async for raw in events] == []


async def test_a_quiet_page_hears_now_and_then_that_the_hub_is_there(
    pages: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SILENCE_S", 0.003)
    events = pages.events(Page([ONE]).watch(ONE.state))
    found = [await anext(events), await anext(events)]
    assert found == [b"retry: 3000\n\n", b": still here\n\n"]


async def test_so_many_pages_are_live_of_one_token_and_in_all(pages: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_OF_TOKEN", 2)
    monkeypatch.setattr(live, "MAX_LISTENERS", 3)
    opened = [pages.events(Page([ONE]).watch(whose=whose)) for whose in ("ada", "ada", "bob")]
    for each in opened[:2]:
        await anext(each)
    with pytest.raises(Busy):
        pages.events(Page([ONE]).watch(whose="ada"))
    await anext(opened[2])
    with pytest.raises(Busy):
        pages.events(Page([ONE]).watch(whose="eve"))
    for each in opened:
        await each.aclose()  # type: ignore[attr-defined]  # they are generators
    assert (await anext(pages.events(Page([ONE]).watch(whose="ada")))).startswith(b"retry")
