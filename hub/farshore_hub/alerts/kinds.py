"""The kinds of alerts: what is measured, from which level on somebody is told, and from which it is over.

A measured value grows when things get worse, whatever the kind: an age, a count, a share that is used.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3600


class Kind(enum.StrEnum):
    """What an alert is about."""

    PENDING_AGE = "pending-age"
    """The oldest record that is still at the edge is old."""
    GAP = "gap"
    """Records are nowhere."""
    OBJECTIVE = "objective"
    """A completeness objective burns its error budget too fast."""
    RECEIPTS = "receipts"
    """A site gave up records."""
    FORK = "fork"
    """Two batches claim one range: a clone, or a copied store."""
    SITE_SILENT = "site-silent"
    """Nothing was heard of a site."""
    STREAM_SILENT = "stream-silent"
    """A stream that promised records produces none, for longer than its promise allows."""
    CLOCK_OFFSET = "clock-offset"
    """A site's clock is wrong."""
    HUB_DISK = "hub-disk"
    """The hub's disk is nearly full."""
    LAKE_STUCK = "lake-stuck"
    """What is stored does not get into the lake."""


class Unit(enum.StrEnum):
    """What a kind's levels are written in."""

    SECONDS = "seconds"
    RECORDS = "records"
    BATCHES = "batches"
    PERCENT = "percent"
    RATIO = "ratio"


class Severity(enum.StrEnum):
    """How soon somebody has to act."""

    CRITICAL = "critical"
    """Now: records are lost or will be."""
    WARNING = "warning"
    """Today."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What always holds for a kind.

    Attributes:
        unit: of the value and the levels.
        raise_at: the value from which on it counts as bad.
        clear_below: the value under which it counts as good again.
        after_s: how long it has to be bad before somebody is told.
        clear_after_s: how long it has to be good before it is over.
        of_silence: the value grows while the hub itself does not run, so that a hub that was started just now cannot
            tell a fault from its own absence.
        excused_by_maintenance: what declared maintenance explains. A loss is never explained.
    """

    unit: Unit
    severity: Severity
    raise_at: float
    clear_below: float
    after_s: int
    clear_after_s: int
    title: str
    of_silence: bool = False
    excused_by_maintenance: bool = False


_LOST: Final = (Severity.CRITICAL, 1, 1, 0, 5 * MINUTE_S)

FACTS: Final[dict[Kind, Facts]] = {
    Kind.PENDING_AGE: Facts(
        Unit.SECONDS,
        Severity.WARNING,
        *(6 * HOUR_S, 3 * HOUR_S, 10 * MINUTE_S, 10 * MINUTE_S),
        "records have been waiting at the edge for long",
        of_silence=True,
        excused_by_maintenance=True,
    ),
    Kind.GAP: Facts(
        Unit.RECORDS, Severity.CRITICAL, 1, 1, 15 * MINUTE_S, 5 * MINUTE_S, "records are missing: nobody has them"
    ),
    Kind.OBJECTIVE: Facts(
        Unit.RATIO,
        Severity.WARNING,
        *(1, 0.9, 0, HOUR_S),
        "a completeness objective is at risk",
    ),
    Kind.RECEIPTS: Facts(Unit.RECORDS, *_LOST, "a site gave up records"),
    Kind.FORK: Facts(Unit.BATCHES, *_LOST, "two different batches claim the same records"),
    Kind.SITE_SILENT: Facts(
        Unit.SECONDS,
        Severity.WARNING,
        *(15 * MINUTE_S, 10 * MINUTE_S, 0, 2 * MINUTE_S),
        "nothing is heard of a site",
        of_silence=True,
        excused_by_maintenance=True,
    ),
    Kind.STREAM_SILENT: Facts(
        Unit.SECONDS,
        Severity.WARNING,
        *(1, 1, 0, 0),
        "a stream that promised records produces none",
        of_silence=True,
        excused_by_maintenance=True,
    ),
    Kind.CLOCK_OFFSET: Facts(
        Unit.SECONDS,
        Severity.WARNING,
        *(MINUTE_S, MINUTE_S // 2, 10 * MINUTE_S, 10 * MINUTE_S),
        "a site's clock is wrong",
        excused_by_maintenance=True,
    ),
    Kind.HUB_DISK: Facts(
        Unit.PERCENT, Severity.CRITICAL, 90, 85, 2 * MINUTE_S, 5 * MINUTE_S, "the hub's disk is nearly full"
    ),
    Kind.LAKE_STUCK: Facts(
        Unit.SECONDS,
        Severity.WARNING,
        *(30 * MINUTE_S, 10 * MINUTE_S, 5 * MINUTE_S, 5 * MINUTE_S),
        "what is stored does not get into the lake",
        of_silence=True,
    ),
}


def shown(unit: Unit, value: float) -> str:
    """A value for people."""
    if unit is Unit.SECONDS:
        return _shown_s(int(value))
    if unit is Unit.PERCENT:
        return f"{value:.1f} %"
    if unit is Unit.RATIO:
        return f"{value:.1f} times what is allowed"
    noun = {Unit.RECORDS: "record", Unit.BATCHES: "batch"}[unit]
    plural = {"record": "records", "batch": "batches"}[noun]
    return f"{int(value):,} {noun if int(value) == 1 else plural}"


def _shown_s(seconds: int) -> str:
    for name, length in (("d", 86_400), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"
