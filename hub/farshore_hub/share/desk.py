"""Answers sites' questions for rows: at once where there is something, else when there is, or when the time is up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from farshore_hub.share.news import News
from farshore_hub.share.sharer import Sharer
from farshore_protocol.ports import Clock, Runner
from farshore_protocol.tables import Ask, Page, Pages

_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class ShareDesk:
    """Where sites ask.

    Attributes:
        run: for the sharer's work.
    """

    sharer: Sharer
    news: News
    clock: Clock
    run: Runner

    async def answer(self, ask: Ask, site_of: Callable[[], Awaitable[str]]) -> Pages:
        """The pages of a question; `site_of` tells who asks, and is asked again after each wait.

        Raises:
            HubError: the site is not, or no more, who may ask.
        """
        site = await site_of()
        await self.run(lambda: self.sharer.note(site, ask, self.clock.now_us()))
        until_s = self.clock.monotonic_s() + ask.wait_ms / _MS
        while True:
            site = await site_of()
            seen, pages = await self.run(lambda site=site: (self.sharer.versions(), self.sharer.answer(site, ask)))  # type: ignore[misc]
            left_s = until_s - self.clock.monotonic_s()
            if left_s <= 0 or any(map(_says_something, pages.pages)):
                return pages
            if not await self.news.wait(seen, left_s):
                return pages


def _says_something(page: Page) -> bool:
    return bool(page.rows or page.gone or page.more or page.fresh or page.refused)
