"""A program at a site that hands over records without a pause, whatever happens to the agent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.acceptance.site import Site

_PORTION: Final = 7
_PAUSE_S: Final = 0.02


@contextmanager
def load_on(*sites: Site) -> Iterator[None]:
    """Records arrive at the HTTP doors of the sites, from a thread each, while the body runs.

    What is not answered is not sent again: the next records are new, so that what is stored tells which were taken.
    """
    over = threading.Event()

    def produce(site: Site) -> None:
        while not over.wait(_PAUSE_S):
            site.post(site.supply.readings(_PORTION))

    with ExitStack() as stack:
        for site in sites:
            thread = threading.Thread(target=produce, args=(site,), daemon=True)
            thread.start()
            stack.callback(thread.join)
        stack.callback(over.set)
        yield
