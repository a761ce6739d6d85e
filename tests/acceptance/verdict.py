"""Holds what was acknowledged against what is stored, by content, and the hub's account against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

_PARTS: Final = ("stored", "pending", "shed", "quarantined", "gap")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """One stream of one site: contents by how often.

    Attributes:
        lost: acknowledged and not stored.
        twice: stored more often than once.
        foreign: stored and never given.
    """

    lost: Counter[str]
    twice: Counter[str]
    foreign: Counter[str]

    @classmethod
    def of(cls, stored: Counter[str], acknowledged: Counter[str], maybe: Counter[str]) -> Self:
        """Compare; a record that was sent without an answer may be stored, once."""
        return cls(
            lost=acknowledged - stored,
            twice=Counter({content: count for content, count in stored.items() if count > 1}),
            foreign=stored - acknowledged - maybe,
        )

    def faults(self) -> list[str]:
        """What is wrong, in words; nothing when all is well."""
        meanings = {
            "acknowledged records are not stored": self.lost,
            "records are stored more than once": self.twice,
            "stored records were never given": self.foreign,
        }
        return [
            f"{contents.total()} {meaning}: {contents.most_common(_SHOWN)}"
            for meaning, contents in meanings.items()
            if contents
        ]


def account_faults(line: Mapping[str, Any], *, stored: int, quarantined: int) -> list[str]:
    """What is wrong with the hub's account of a stream from which nothing is under way any more.

    Args:
        line: the stream's line of the completeness report.
        stored: how many records the hub gives back.
        quarantined: how many the doors have refused.
    """
    faults = []
    if line["produced"] != sum(line[part] for part in _PARTS):
        faults.append("the account does not balance")
    if line["pending"] or line["gap"]:
        faults.append("something is still pending, or missing")
    if line["stored"] != stored:
        faults.append(f"{stored} records are stored")
    if line["quarantined"] != quarantined:
        faults.append(f"{quarantined} records were refused")
    return [f"{fault}: {dict(line)}" for fault in faults]
