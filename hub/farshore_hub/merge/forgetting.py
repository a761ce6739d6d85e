"""Which tombstones of a table may go, and whom one has to wait for. Pure.

A delete is forgotten once every site has it, and no change from before it can come any more. Whoever is counted out
brings nothing back: up to the stamp of what is forgotten no change is merged, and a site that has missed a delete reads
the table anew (docs/decisions/0036-tombstones.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long deletes are kept.

    Attributes:
        keep_us: each of them at least so long, whoever has it.
        await_us: a site that is silent for longer is counted out.
    """

    keep_us: int
    await_us: int


@dataclass(frozen=True, slots=True)
class Reader:
    """A site that changes a table, or follows it.

    Attributes:
        site: its name.
        is_revoked: it was revoked.
        heard_us: the hub's clock when it was last heard; 0 for never.
        follows: it has asked for the table.
        safe_version: its copy has everything up to here, and all that it changed before is merged.
        safe_hlc: whatever it changes from now on is later.
        is_through: everything that it has announced is here and merged.
        is_out: it was counted out before, and has not been let in again.
    """

    site: str
    is_revoked: bool = False
    heard_us: int = 0
    follows: bool = False
    safe_version: int = 0
    safe_hlc: int = 0
    is_through: bool = False
    is_out: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be forgotten.

    Attributes:
        version: tombstones up to this one, and
        at: rows on which nothing is later than this stamp.
        out: sites that are counted out, each with the rule: `revoked` or `silent`.
        returned: sites that were counted out, and are let in again.
        awaited: sites that hold everything up, each with the reason.
    """

    version: int
    at: int
    out: dict[str, str]
    returned: list[str]
    awaited: dict[str, str]


def judge(readers: Sequence[Reader], keeping: Keeping, floor: int, version: int, now_us: int) -> Verdict:
    """Decide what may be forgotten.

    Args:
        readers: all sites that have announced or sent a change of the table, or asked for it.
        keeping: as declared.
        floor: tombstones up to here may be gone already.
        version: of the table now.
        now_us: the hub's clock.
    """
    out = {each.site: why for each in readers if (why := _rule_against(each, keeping, now_us))}
    counted = [each for each in readers if each.site not in out]
    returned = [each for each in counted if each.is_out and _is_let_in(each, floor)]
    members = [each for each in counted if not each.is_out or each in returned]
    out |= {each.site: "silent" for each in counted if each.is_out and each not in returned}
    awaited = {each.site: why for each in members if (why := _reason_to_wait(each))}
    return Verdict(
        0 if awaited else min((each.safe_version for each in members), default=version),
        min([now_us - keeping.keep_us, *(each.safe_hlc for each in members)]),
        out,
        [each.site for each in returned],
        awaited,
    )


def _rule_against(reader: Reader, keeping: Keeping, now_us: int) -> str:
    if reader.is_revoked:
        return "revoked"
    return "silent" if now_us - reader.heard_us > keeping.await_us else ""


def _is_let_in(reader: Reader, floor: int) -> bool:
    """Whether a site that has come back has read the table anew, and all that it brought is here."""
    return reader.is_through and (reader.safe_version >= floor or not reader.follows)


def _reason_to_wait(reader: Reader) -> str:
    if not reader.follows:
        return "it changes the table and does not follow it, so it never hears of a delete"
    return "" if reader.safe_version else "it has not told yet that it has the table, and all of its changes are merged"
