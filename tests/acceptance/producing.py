"""A program at a site that hands over records without a pause, whatever happens to the agent."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.acceptance.records import Supply
from tests.acceptance.site import Site

_LARGEST_PORTION: Final = 14
_PAUSE_S: Final = 0.02

_numbers = itertools.count(1)
"""No two producers hand over the same record, however often load is put on a site."""


@contextmanager
def load_on(*sites: Site, producers: int = 1, pause_s: float = _PAUSE_S) -> Iterator[None]:
    """Records arrive at the HTTP door of each site, from so many threads each, while the body runs.

    What is not answered is not sent again: the next records are new, so that what is stored tells which were taken.
    """
    over = threading.Event()

    def produce(site: Site, supply: Supply) -> None:
        for portion in itertools.cycle(range(1, _LARGEST_PORTION)):
            if over.wait(pause_s):
                return
            site.post(supply.readings(portion))

    with ExitStack() as stack:
        for site, _ in itertools.product(sites, range(producers)):
            supply = Supply(f"{site.name}-producer-{next(_numbers)}")
            thread = threading.Thread(target=produce, args=(site, supply), daemon=True)
            thread.start()
            stack.callback(thread.join)
        stack.callback(over.set)
        yield
