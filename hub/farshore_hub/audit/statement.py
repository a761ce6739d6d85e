"""What a statement of completeness says: of one site, the accounts of its streams and what came in a period."""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from farshore_hub.audit.canonical import FORMAT, sign
from farshore_hub.fleet import sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.account import Account, balance
from farshore_hub.ledger.losses import Loss, losses
from farshore_hub.store import accounts
from farshore_hub.store import statements as store
from farshore_hub.store.engine import reading
from farshore_hub.store.losses import damages_of, receipts_of
from farshore_hub.store.statements import ReceivedBatch
from farshore_protocol.ranges import RangeSet


def make_statement(fleet: Fleet, site: str, from_us: int, to_us: int) -> bytes:
    """A signed statement about a site. The period is by when the hub stored what came.

    Args:
        fleet: the hub's.
        site: its name.
        from_us: the period's first moment.
        to_us: the first moment after it; the period is empty if this is not later.

    Raises:
        Unknown: there is no such site.
    """
    sites.find(fleet, site)
    with reading(fleet.engine) as connection:
        streams = _streams(connection, site, from_us, to_us)
    statement = {
        "format": FORMAT,
        "hub": fleet.keys.hub.hex(),
        "made_us": fleet.clock.now_us(),
        "period": {"from_us": from_us, "to_us": to_us},
        "site": site,
        "streams": streams,
    }
    return sign(statement, fleet.keys.signing)


def _streams(connection: Connection, site: str, from_us: int, to_us: int) -> list[dict[str, Any]]:
    received: dict[int, list[ReceivedBatch]] = defaultdict(list)
    for batch in store.received_batches(connection, site, from_us, to_us):
        received[batch.account].append(batch)
    named = store.accounts_of(connection, site, set(received))
    found = accounts.open_existing(connection, {row.key for row in named})
    ids = [row.id for row in named]
    receipts, damages = receipts_of(connection, ids), damages_of(connection, ids)
    lines = []
    for row in named:
        account = found[row.key][1]
        lost = losses(account, receipts[row.id], damages[row.id])
        own = {"stream": row.stream, "incarnation": row.incarnation.hex(), "closed": account.closed}
        lines.append(own | _account(account, lost) | {"received": _received(received[row.id])})
    return lines


def _account(account: Account, lost: Iterable[Loss]) -> dict[str, Any]:
    stands = balance(account)
    stored = account.stored - account.wanted
    pending = (account.held - stored - account.receipted) & RangeSet(((1, max(1, stands.produced)),))
    return {
        "counts": {
            "produced": stands.produced,
            "stored": stands.stored,
            "shed": stands.receipted,
            "pending": stands.pending,
            "gap": stands.gap,
        },
        "stored": _pairs(stored),
        "pending": _pairs(pending),
        "gaps": _pairs(stands.gaps),
        "losses": [_loss(each) for each in lost],
    }


def _loss(of: Loss) -> dict[str, Any]:
    return {"first": of.first, "last": of.last, "cause": of.cause, "state": of.state, "since_us": of.since_us}


def _received(batches: list[ReceivedBatch]) -> dict[str, Any]:
    """What came in the period; the digest is over first, count and content digest of each batch, in their order."""
    taken = RangeSet.of(*(span for batch in batches for span in batch.taken))
    digest = hashlib.sha256()
    for batch in sorted(batches, key=lambda each: (each.first, each.content_digest)):
        digest.update(struct.pack(">QI", batch.first, batch.count) + batch.content_digest)
    return {"batches": len(batches), "records": taken.count, "ranges": _pairs(taken), "digest": digest.hexdigest()}


def _pairs(ranges: RangeSet) -> list[list[int]]:
    return [list(each) for each in ranges]
