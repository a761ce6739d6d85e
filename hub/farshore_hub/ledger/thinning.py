"""Which claims of the journal may go, so that what was known at each midnight stays exactly so. Pure.

A day is from just after one midnight, UTC, up to and with the next. Of the claims of an account that came in one day
the last one stays, with all hours that any of them told. What a claim made of an account is in its row whole, and what
was produced in an hour is the most that was ever told of it: so at the day's end nothing is different without the
others, nor at any later moment, and neither is what the facts make of the account today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from farshore_protocol.hours import HOUR_US, Hours

DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Noted:
    """A claim in the journal; a later one has a larger `id`."""

    id: int
    account: int
    at_us: int
    hours: Hours


@dataclass(slots=True)
class Thinned:
    """Claims that go, and the hours that others take over, by their ids."""

    gone: list[int] = field(default_factory=list)
    hours: dict[int, dict[int, int]] = field(default_factory=dict)


def day_end(at_us: int) -> int:
    """The midnight at which the day of a moment ends; a midnight is its own."""
    return -(-at_us // DAY_US) * DAY_US


def last_midnight(at_us: int) -> int:
    """The last midnight that is not after a moment."""
    return at_us // DAY_US * DAY_US


def is_known(at_us: int, thinned_until_us: int) -> bool:
    """Whether the journal still has everything that was known at a moment, when it is thinned up to a midnight."""
    return at_us >= thinned_until_us or at_us == last_midnight(at_us)


def thinned(claims: Iterable[Noted]) -> Thinned:
    """What becomes of these claims, which are in the order of their ids."""
    days: dict[tuple[int, int], list[Noted]] = {}
    for claim in claims:
        days.setdefault((claim.account, day_end(claim.at_us)), []).append(claim)
    made = Thinned()
    for of_day in days.values():
        if len(of_day) > 1:
            made.gone += [claim.id for claim in of_day[:-1]]
            if hours := _most(of_day):
                made.hours[of_day[-1].id] = hours
    return made


def _most(claims: Sequence[Noted]) -> dict[int, int]:
    """By hour the most that was told; nothing where the last claim says all of it."""
    most: dict[int, int] = {}
    for claim in claims:
        for hour, count in claim.hours.items():
            most[hour] = max(count, most.get(hour, 0))
    return most if most != claims[-1].hours else {}
