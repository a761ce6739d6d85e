"""What metrics count in the database."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from farshore_hub.store.schema import receipts


def receipted_by_reason(connection: Connection) -> dict[str, int]:
    """How many records were given up at the edge, by reason."""
    count = func.sum(receipts.c.last - receipts.c.first + 1)
    return {
        reason: int(found)
        for reason, found in connection.execute(select(receipts.c.reason, count).group_by(receipts.c.reason))
    }
