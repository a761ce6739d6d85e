"""Puts what became of alerts into the outbox, for everybody who wants to be told of it. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from farshore_hub.alerts.kinds import Kind
from farshore_hub.expect.patterns import matches
from farshore_hub.expect.selector import NO_LABELS, Labels, Selector, selects
from farshore_hub.store import messages
from farshore_hub.store.alerts import AlertRow
from farshore_hub.watch.telling import bodies_of, document_of

_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens to a channel, known by the channel's name, and wants to be told of what."""

    channel: str
    kinds: frozenset[Kind] = frozenset(Kind)
    sites: str = "*"
    labels: Selector = field(default_factory=dict)

    def wants(self, kind: Kind, site: str, labels: Labels) -> bool:
        """Whether it is to be told of such alerts at a site with these labels."""
        return kind in self.kinds and matches(self.sites, site) and selects(self.labels, labels)


@dataclass(frozen=True, slots=True)
class News:
    """What became of an alert; `note` is what a person had to say."""

    row: AlertRow
    change: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where messages wait for the courier.

    Attributes:
        hub: the hub's name, in every message.
        token: draws so many random bytes.
        runbooks: what the address of every runbook begins with.
    """

    hub: str
    audiences: Sequence[Audience]
    token: Callable[[int], bytes]
    runbooks: str

    @property
    def is_by_labels(self) -> bool:
        """Whether it matters which labels sites have."""
        return any(each.labels for each in self.audiences)

    def put(self, connection: Connection, news: Sequence[News], labels: Mapping[str, Labels], now_us: int) -> None:
        """Put news there for everybody who wants them, in the caller's transaction; `labels` by the site's name."""
        for each in self.audiences:
            wanted = [
                document_of(of.row, of.change, self.runbooks, of.note)
                for of in news
                if each.wants(of.row.kind, of.row.site, labels.get(of.row.site, NO_LABELS))
            ]
            bodies = bodies_of(self.hub, wanted, now_us)
            messages.put(connection, [(each.channel, self.token(_KEY_BYTES).hex(), body) for body in bodies], now_us)
