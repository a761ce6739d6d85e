"""What people and scripts are shown of audits: the same JSON from the API and from the commands."""

from __future__ import annotations

from pydantic import BaseModel, Field

from farshore_hub.audit.differences import AuditReport, Cure, Difference, Kind
from farshore_hub.audit.progress import AuditState, Kept
from farshore_hub.store.damages import Tally
from farshore_hub.texts.shown import TimeUs
from farshore_protocol.ranges import RangeSet

Ranges = list[tuple[int, int]]


class DifferenceView(BaseModel):
    """Something that is not as the ledger says."""

    kind: Kind
    what: str
    cure: Cure = Field(description="what a repair does about it, or has done")
    site: str
    incarnation: str
    stream: str
    ranges: Ranges = Field(description="which records, as first and last sequences")
    missing: Ranges = Field(description="sequences of which the lake has no row")
    doubled: Ranges = Field(description="sequences of which it has more than one")
    altered: Ranges = Field(description="sequences whose row has other values than the sealed batch, if that is kept")
    size: int = Field(description="bytes of the damaged copy, as far as known")


class AuditView(BaseModel):
    """What an audit has read, and what differs."""

    started_us: TimeUs
    ended_us: TimeUs
    read_bytes: int
    accounts: int
    batches: int = Field(description="sealed batches that were held against their digests")
    rows: int = Field(description="rows of the lake that were held against the digests of their batches")
    unproven: int = Field(description="batches in the lake of which only the number of rows could be compared")
    found: dict[str, int] = Field(description="how many differences of each kind")
    differences: list[DifferenceView] = Field(description="the first thousand of them")


class DamageView(BaseModel):
    """What became of damages."""

    outcome: str = Field(description="open, healed or lost")
    damages: int
    records: int
    size: int = Field(description="sealed bytes that were damaged, as far as known")


class AuditStateView(BaseModel):
    """The running hub's audits."""

    next_us: TimeUs
    present: AuditView | None = Field(description="the one that is not finished")
    last: AuditView | None = Field(description="the last one that was")
    damages: list[DamageView] = Field(description="all that were ever found, by outcome")


def audit_view(kept: Kept) -> AuditView:
    """One audit."""
    report = kept.report
    return AuditView(
        started_us=kept.started_us,
        ended_us=kept.ended_us,
        read_bytes=kept.read_bytes,
        accounts=report.accounts,
        batches=report.batches,
        rows=report.rows,
        unproven=report.unproven,
        found=report.found,
        differences=_differences(report),
    )


def state_view(state: AuditState, damages: list[Tally]) -> AuditStateView:
    """What is kept of audits."""
    return AuditStateView(
        next_us=state.next_us,
        present=audit_view(state.present) if state.present else None,
        last=audit_view(state.last) if state.last else None,
        damages=[
            DamageView(outcome=each.outcome, damages=each.damages, records=each.records, size=each.size)
            for each in damages
        ],
    )


def _differences(report: AuditReport) -> list[DifferenceView]:
    return [_difference(each) for each in report.differences]


def _difference(of: Difference) -> DifferenceView:
    return DifferenceView(
        kind=of.kind,
        what=of.what,
        cure=of.cure,
        site=of.site,
        incarnation=of.incarnation,
        stream=of.stream,
        ranges=_pairs(of.ranges),
        missing=_pairs(of.missing),
        doubled=_pairs(of.doubled),
        altered=_pairs(of.altered),
        size=of.size,
    )


def _pairs(ranges: RangeSet) -> Ranges:
    return list(ranges.ranges)
