"""A hub, a link and an agent that has joined the hub over it: what most benchmarks start from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.rig.centre import Centre, running_centre
from tests.benchmarks.rig.edge import STREAM, Edge
from tests.benchmarks.rig.link import Link
from tests.benchmarks.rig.proof import Hashes, Verdict, prove

_OLDER_THAN_LINGER_S: Final = 5.5
"""The agent ships with a linger of 5 s."""


@dataclass(frozen=True, slots=True)
class Place:
    """All three; the hub runs, the agent does when it is started."""

    centre: Centre
    link: Link
    edge: Edge

    def start(self) -> None:
        """Start the agent; on return it has spoken with the hub."""
        self.edge.start()
        self.edge.until_linked()

    def let_it_wait(self) -> None:
        """Return when the agent rests and everything that it has is older than `linger`.

        Otherwise a drain would measure how long the last few records wait for others when the link is back.
        """
        time.sleep(_OLDER_THAN_LINGER_S)
        self.edge.meter.until_calm()

    def prove(self, acknowledged: Hashes, *, maybe: Hashes | None = None, stream: str = STREAM) -> Verdict:
        """Every acknowledged record is stored exactly once.

        Raises:
            NotOnce: it is not so, and no figure counts.
        """
        return prove(acknowledged, self.centre.hashes(stream, self.edge.name), maybe=maybe)


@contextmanager
def prepared_place(folder: Path, store: str, **settings: str) -> Iterator[Place]:
    """All three until the block ends; `settings` are those of `Edge`."""
    with ExitStack() as stack:
        centre = stack.enter_context(running_centre(folder, store))
        link = stack.enter_context(Link(centre.hub.port))
        edge = Edge(folder, link.port, **settings)
        stack.callback(edge.daemon.kill)
        edge.join(centre.hub)
        yield Place(centre, link, edge)
