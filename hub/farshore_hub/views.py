"""What people and scripts are shown of sites and streams: the same JSON from the API and from the commands."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from farshore_hub.ledger.completeness import State
from farshore_hub.ledger.hours import HourState
from farshore_hub.ledger.standing import Standing
from farshore_hub.store.fleet import SiteState
from farshore_hub.texts.shown import TimeUs, View

Hex = Annotated[str, BeforeValidator(lambda raw: raw.hex() if isinstance(raw, bytes) else raw)]


class SiteView(View):
    """A site."""

    name: str
    state: SiteState
    created_us: TimeUs
    enrolled_us: TimeUs
    revoked_us: TimeUs
    last_seen_us: TimeUs
    clock_offset_us: int | None = Field(description="the site's clock minus the hub's")
    agent_version: str | None


class GapView(View):
    """Sequences that are nowhere: not stored, not at the edge, and no receipt says why."""

    incarnation: Hex
    stream: str
    first: int
    last: int


class StreamView(View):
    """A stream of a site: produced = stored + pending + shed + quarantined + gap."""

    site: str
    stream: str
    state: State
    produced: int
    stored: int
    pending: int = Field(description="still at the edge, by the site's last statement")
    shed: int = Field(description="given up at the edge, with a receipt")
    quarantined: int = Field(description="refused at the stream's door, and kept in its companion stream")
    gap: int
    forked: int = Field(default=0, description="kept aside, because others have their sequences: farshore-hub forks")
    gaps: list[GapView]
    oldest_pending_us: TimeUs
    heard_us: TimeUs


class CompletenessView(View):
    """Every stream of every site that was asked for, by site and stream."""

    streams: list[StreamView]
    over_quota: list[str] = Field(
        default=[], description="sites of which no batches are taken: the hub keeps as much of them as it may"
    )


class HourView(View):
    """A stream of a site in one hour of event time: produced = stored + pending + shed + quarantined + gap."""

    site: str
    stream: str
    hour_us: int = Field(
        description="when the hour begins, in microseconds since 1970; 0 is every hour outside 2000…2100"
    )
    state: HourState
    produced: int
    stored: int
    pending: int = Field(description="still at the edge, by the site's last statement, or not counted by the hour yet")
    shed: int
    quarantined: int
    gap: int = Field(description="nowhere; in the hours in which, by the site's own counts, so many are missing")


class HoursView(View):
    """Every stream of a site, hour by hour."""

    from_us: int
    to_us: int
    hours: list[HourView]


class FleetRowView(View):
    """A site, hour by hour."""

    site: str
    cells: list[HourState] = Field(
        description="the worst of the site's streams, an entry for each hour from `from_us` on"
    )
    produced: int = Field(description="of the days that the hours lie in")
    stored: int


class FleetView(View):
    """Sites by name, hour by hour."""

    from_us: int
    to_us: int
    total: int = Field(description="sites that match the search, of which these are some")
    produced: int = Field(description="by the whole fleet, of the days that the hours lie in")
    stored: int
    sites: list[FleetRowView]


class SiteLineView(View):
    """A site in one line: produced = stored + pending + shed + quarantined + gap, over its streams."""

    name: str
    standing: Standing
    is_silent: bool = Field(description="it was not heard for too long, or is revoked")
    is_revoked: bool
    streams: int
    produced: int
    stored: int
    pending: int
    shed: int
    quarantined: int
    gap: int
    oldest_pending_us: TimeUs
    heard_us: TimeUs


class SummaryView(View):
    """How many sites there are, and stand how."""

    sites: int
    silent: int
    by_standing: dict[Standing, int]


class StandingsView(View):
    """How the fleet stands: all of it in numbers, and the sites that were asked for."""

    summary: SummaryView = Field(description="of all sites, whatever was asked for")
    found: int = Field(description="sites that were asked for, on all pages")
    sites: list[SiteLineView]


class ReceiptSumView(View):
    """What was given up of a stream for one reason."""

    stream: str
    reason: str
    count: int = Field(description="receipts")
    records: int = Field(description="that they name; a record may be named more than once")
    last_us: TimeUs


class ForkView(View):
    """A batch that was kept aside: its range was stored already with other content."""

    stream: str
    incarnation: Hex
    first: int
    last: int
    received_us: TimeUs


class ResendView(View):
    """What a site was asked to send once more, and what it said."""

    stream: str
    first: int
    last: int
    asked_us: int
    asked_by: str
    settled_us: TimeUs
    outcome: str | None = Field(description="done, failed, expired or lost; null while its answer is due")
    text: str = Field(description="the site's answer")


class RepairView(View):
    """Records whose stored copy was found damaged: the hub asks the site for them again."""

    stream: str
    incarnation: Hex
    first: int
    last: int
    cause: str = Field(description="batch, lake or ledger: what was damaged")
    found_us: TimeUs
    settled_us: TimeUs
    outcome: str | None = Field(description="healed or lost; null while they are asked for")


class ArrivalsView(View):
    """Records of a stream that were stored within an hour of the hub's clock."""

    stream: str
    hour_us: int
    records: int


class WatermarkView(View):
    """Up to where a stream is accounted for, in the incarnation that was heard last."""

    stream: str
    incarnation: Hex
    watermark: int
    head: int


class SiteReportView(View):
    """Everything that is known of one site."""

    site: SiteView
    line: SiteLineView
    certificate_ends_us: TimeUs
    starts: int = Field(description="of its agent, as far as the hub has heard")
    streams: list[StreamView]
    watermarks: list[WatermarkView]
    receipts: list[ReceiptSumView]
    repairs: list[RepairView] = Field(description="what was found damaged here, the newest first")
    resends: list[ResendView] = Field(description="what the site was asked for by a person, the newest first")
    forks: list[ForkView]
    arrivals: list[ArrivalsView] = Field(description="of the last days, hour by hour; hours without any are left out")
