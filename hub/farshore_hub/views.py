"""What people and scripts are shown of sites and streams: the same JSON from the API and from the commands."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from farshore_hub.ledger.completeness import State
from farshore_hub.ledger.hours import HourState
from farshore_hub.store.fleet import SiteState

TimeUs = Annotated[int | None, Field(description="microseconds since 1970; null for never")]
Hex = Annotated[str, BeforeValidator(lambda raw: raw.hex() if isinstance(raw, bytes) else raw)]


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SiteView(_View):
    """A site."""

    name: str
    state: SiteState
    created_us: TimeUs
    enrolled_us: TimeUs
    revoked_us: TimeUs
    last_seen_us: TimeUs
    clock_offset_us: int | None = Field(description="the site's clock minus the hub's")
    agent_version: str | None


class GapView(_View):
    """Sequences that are nowhere: not stored, not at the edge, and no receipt says why."""

    incarnation: Hex
    stream: str
    first: int
    last: int


class StreamView(_View):
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
    gaps: list[GapView]
    oldest_pending_us: TimeUs
    heard_us: TimeUs


class CompletenessView(_View):
    """Every stream of every site that was asked for, by site and stream."""

    streams: list[StreamView]


class HourView(_View):
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


class HoursView(_View):
    """Every stream of a site, hour by hour."""

    from_us: int
    to_us: int
    hours: list[HourView]


class FleetRowView(_View):
    """A site, hour by hour."""

    site: str
    cells: list[HourState] = Field(
        description="the worst of the site's streams, an entry for each hour from `from_us` on"
    )
    produced: int = Field(description="of the days that the hours lie in")
    stored: int


class FleetView(_View):
    """Sites by name, hour by hour."""

    from_us: int
    to_us: int
    total: int = Field(description="sites that match the search, of which these are some")
    produced: int = Field(description="by the whole fleet, of the days that the hours lie in")
    stored: int
    sites: list[FleetRowView]
