"""What an audit finds: one `Difference` each, and the report that they are gathered in."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from farshore_protocol.ranges import EMPTY, RangeSet

MAX_KEPT: Final = 1_000
"""Differences that a report names; the rest is only counted."""


class Kind(enum.StrEnum):
    """What differs from what."""

    BATCH = "batch"
    """A sealed batch that is not in the lake yet does not match its digest."""
    SPARE = "spare"
    """A sealed batch whose records are in the lake does not match its digest."""
    UNBACKED = "unbacked"
    """The account says that they are stored, and no batch has them."""
    UNCOUNTED = "uncounted"
    """A batch has them, and the account does not say so."""
    DOUBLED = "doubled"
    """Two batches have them."""
    MISCOUNTED = "miscounted"
    """The counts beside an account are not its balance."""
    FILE = "file"
    """A file of the lake is gone or cannot be read."""
    ROWS = "rows"
    """The rows of a batch in the lake are not what was written there."""
    FOREIGN = "foreign"
    """Rows in the lake that no batch has."""


class Cure(enum.StrEnum):
    """What is done about it."""

    REBUILT = "rebuilt"
    """From the other copy that the hub has."""
    WANTED = "wanted"
    """Its site is asked for the records again."""
    NONE = "none"
    """A person has to look."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the ledger says.

    Attributes:
        site, incarnation, stream: of the records; an empty incarnation where it is about more than one.
        ranges: which records.
        missing, doubled, altered: of rows in the lake, as exactly as it is known.
        what: in words.
        size: bytes of the damaged copy, as far as known.
        cure: what a repair does, or has done.
    """

    kind: Kind
    what: str
    cure: Cure
    site: str = ""
    incarnation: str = ""
    stream: str = ""
    ranges: RangeSet = EMPTY
    missing: RangeSet = EMPTY
    doubled: RangeSet = EMPTY
    altered: RangeSet = EMPTY
    size: int = 0


@dataclass(slots=True)
class AuditReport:
    """What was read, and what differs.

    Attributes:
        batches, batch_bytes: sealed batches that were held against their digests.
        rows, file_bytes: rows of the lake that were held against the digests of their batches, and their files.
        unproven: batches in the lake of which only the number of rows could be compared.
        differences: the first of them.
        found: how many of each kind there are in all.
    """

    accounts: int = 0
    batches: int = 0
    batch_bytes: int = 0
    rows: int = 0
    file_bytes: int = 0
    unproven: int = 0
    differences: list[Difference] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether everything is as the ledger says."""
        return not self.found

    def note(self, difference: Difference) -> None:
        """Add a difference."""
        self.found[difference.kind] = self.found.get(difference.kind, 0) + 1
        if len(self.differences) < MAX_KEPT:
            self.differences.append(difference)
