"""Asking a site again for what is missing of it: as commands to send once more what it keeps. Blocking.

What the hub has lost itself it asks for in every answer, unasked. What is nowhere may still be at the site, though it
takes it for delivered: after a restore of the hub from an old backup, say. Nobody but a person knows when to try.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from sqlalchemy import Engine

from farshore_hub.errors import Conflict, Unknown
from farshore_hub.ledger.losses import LossCause, LossState, losses
from farshore_hub.orders.commands import CommandDesk
from farshore_hub.orders.views import AskedView
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import find_site
from farshore_hub.store.losses import incomplete_accounts
from farshore_hub.store.orders import resends
from farshore_protocol.ranges import EMPTY, Range, RangeSet

HOPELESS: Final = frozenset(
    {
        LossCause.EVICTED,
        LossCause.THINNED,
        LossCause.EXPIRED,
        LossCause.QUARANTINED,
        LossCause.DAMAGED_AT_EDGE,
    }
)
"""What the site has given up itself: it said so in the transaction in which it forgot the records."""

MOST_AT_ONCE: Final = 8
"""Ranges for one deed: each is a command, and a site does one after the other."""

LIFE_S: Final = 7 * 86_400


def ask_again(commands: CommandDesk, site: str, stream: str | None, by: str) -> AskedView:
    """Ask a site for what is missing of all its streams or of one, the oldest streams' names and ranges first.

    Args:
        commands: where sites are commanded.
        site: its name.
        stream: its name; None for all.
        by: who says so.

    Raises:
        Unknown: there is no such site.
        Conflict: nothing is missing that was not given up by the site, or it is asked for already; or the site takes
            no orders.
    """
    wanted = _missing(commands.engine, site, stream)
    if not wanted:
        raise Conflict(
            f"there is nothing to ask {site} for",
            remedy="farshore-hub losses --site NAME says what is missing, why, and what is asked for already",
        )
    now = wanted[:MOST_AT_ONCE]
    made = [
        each
        for of, (first, last) in now
        for each in commands.order([site], "resend", {"stream": of, "first": str(first), "last": str(last)}, LIFE_S, by)
    ]
    return AskedView(commands=made, left=len(wanted) - len(now))


def _missing(engine: Engine, site: str, stream: str | None) -> list[tuple[str, Range]]:
    """What may still be at the site, and is not being asked for. A command is about all incarnations of a stream."""
    found: dict[str, RangeSet] = defaultdict(lambda: EMPTY)
    with reading(engine) as connection:
        if find_site(connection, site) is None:
            raise Unknown(f"there is no site {site[:80]!r}", remedy="'farshore-hub site list' shows all of them")
        for of in incomplete_accounts(connection, site, stream):
            for loss in losses(of.account, of.receipts, of.damages):
                if loss.cause not in HOPELESS and loss.state is not LossState.WANTED:
                    found[of.stream] |= RangeSet(((loss.first, loss.last),))
        for asked in resends(connection, site):
            if asked.outcome is None:
                found[asked.stream] -= RangeSet(((asked.first, asked.last),))
    return [(name, each) for name, ranges in sorted(found.items()) for each in ranges]
