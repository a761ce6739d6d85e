"""What people and scripts are shown of sites and streams: the same JSON from the API and from the commands."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from farshore_hub.ledger.completeness import State
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
