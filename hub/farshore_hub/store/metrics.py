"""What metrics count in the database."""

from __future__ import annotations

from sqlalchemy import Connection, Double, cast, func, select

from farshore_hub.store.schema import receipts


def receipted_by_reason(connection: Connection) -> dict[str, int]:
    """About how many records were given up at the edge, by reason."""
    # As a float: sites state what they like, and a sum of integers may overflow.
    count = func.sum(cast(receipts.c.last - receipts.c.first + 1, Double))
    return {
        reason: int(found)
        for reason, found in connection.execute(select(receipts.c.reason, count).group_by(receipts.c.reason))
    }
