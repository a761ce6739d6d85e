"""The encoding plans of the streams. Pure.

To search for a plan takes many times as long as to use one. So a stream whose first batch is small begins with that of
the last stream that had the same fields: sites have many streams of one make.
"""

from __future__ import annotations

from typing import Final, TypeVar

from farshore_protocol.columns import Columns, Plan

MAX_PLANS: Final = 1_000
MAX_MAKES: Final = 100
SMALL_RECORDS: Final = 1_024
"""A larger batch is worth a search of its own."""

K = TypeVar("K")


class Plans:
    """A plan for each stream, as long as there are not too many."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._of_make: dict[tuple[str, ...], Plan] = {}

    def of(self, stream: str, columns: Columns) -> Plan:
        """The plan for the next batch of a stream; `columns` are its records."""
        plan = self._plans.get(stream) or self._first(columns)
        _remember(self._plans, stream, plan, MAX_PLANS)
        return plan

    def _first(self, columns: Columns) -> Plan:
        make = tuple(columns.fields)
        like = self._of_make.get(make)
        plan = like.copy() if like and like.is_made and columns.count <= SMALL_RECORDS else Plan()
        _remember(self._of_make, make, plan, MAX_MAKES)
        return plan

    def forget(self, stream: str) -> None:
        """Plan anew with the stream's next batch, without anybody's help."""
        self._plans[stream] = Plan()


def _remember(plans: dict[K, Plan], key: K, plan: Plan, most: int) -> None:
    """Keep the newest ones."""
    plans.pop(key, None)
    plans[key] = plan
    if len(plans) > most:
        del plans[next(iter(plans))]
