"""Who waits for something that this process commits is told at once, and need not look so often.

Only a hint: other processes of the hub commit too, so whoever listens looks every so often anyway.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

_KEY: Final = "farshore news"


class Told(enum.Enum):
    """What there is to tell."""

    ORDERS = "orders can be published"
    ROLLOUTS = "a rollout has begun, or somebody has moved it"


_listeners: Final[WeakKeyDictionary[Engine, list[tuple[Told, Callable[[], None]]]]] = WeakKeyDictionary()


def listen(engine: Engine, news: Told, ring: Callable[[], None]) -> None:
    """Have `ring` called, on any thread, after each commit of this process that has such news."""
    _listeners.setdefault(engine, []).append((news, ring))


def tell(connection: Connection, news: Told) -> None:
    """There is that news if this transaction is committed."""
    connection.info.setdefault(_KEY, set()).add(news)


def taken(connection: Connection) -> set[Told]:
    """What was told in this transaction, once."""
    found: set[Told] = connection.info.pop(_KEY, set())
    return found


def ring_for(engine: Engine, told: set[Told]) -> None:
    """It is committed."""
    for news, ring in _listeners.get(engine, ()):
        if news in told:
            ring()
