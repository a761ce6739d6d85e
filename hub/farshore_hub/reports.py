"""Completeness as people ask for it: of everything, of one site or stream, or only where something is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from farshore_hub.errors import Invalid, Unknown
from farshore_hub.fleet import sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.completeness import completeness
from farshore_hub.ledger.hours import HOURS_PER_DAY, STATES, FleetRow, HourLine, HourState, hour_lines, knowledge
from farshore_hub.ledger.thinning import is_known
from farshore_hub.store import days
from farshore_hub.store.accounts import read_accounts
from farshore_hub.store.days import FleetSite
from farshore_hub.store.engine import reading
from farshore_hub.store.facts import accounts_at
from farshore_hub.store.forks import count_forked
from farshore_hub.store.quota import over
from farshore_hub.store.thinning import progress
from farshore_hub.views import CompletenessView, FleetRowView, FleetView, StreamView
from farshore_protocol.hours import HOUR_US
from farshore_protocol.names import BadName, check_any_stream

MAX_HOURS: Final = 32 * HOURS_PER_DAY
"""Hours in one report."""

MAX_SITES: Final = 10_000
"""Sites in one report."""

_US_PER_S: Final = 1_000_000
_UNKNOWN: Final = STATES.index(HourState.UNKNOWN)
_GAP: Final = STATES.index(HourState.GAP)
_AS_UNKNOWN: Final = bytes(_GAP if code == _GAP else _UNKNOWN for code in range(256))


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports completeness from the ledger."""

    fleet: Fleet
    silent_after_s: int
    max_kept_bytes: int

    def completeness(
        self, site: str | None = None, stream: str | None = None, *, gaps: bool = False, at_us: int | None = None
    ) -> CompletenessView:
        """A line per site and stream.

        Args:
            site: only this one.
            stream: only this one.
            gaps: only the lines where something is missing, with its ranges.
            at_us: as it was known at that time; now, if it is left out.

        Raises:
            Invalid: the stream's name is not one, or of so long ago only midnights are known.
            Unknown: there is no such site or stream.
        """
        if site is not None:
            sites.find(self.fleet, site)
        if stream is not None:
            check_stream(stream)
        with reading(self.fleet.engine) as connection:
            if at_us is None:
                rows = list(read_accounts(connection, site, stream))
            else:
                _check_moment(at_us, progress(connection).until_us)
                rows = list(accounts_at(connection, at_us, site, stream))
            forked = count_forked(connection)
            full = [each for each in over(connection, self.max_kept_bytes) if site in {None, each}]
        if stream is not None and not rows:
            raise Unknown(f"nothing was heard of a stream {stream!r}", remedy="farshore-hub completeness lists them")
        now_us = self.fleet.clock.now_us() if at_us is None else at_us
        lines = completeness(rows, now_us=now_us, silent_after_us=self.silent_after_s * _US_PER_S)
        for line in lines:
            line.forked = forked.get((line.site, line.stream), 0)
        views = [StreamView.model_validate(line) for line in lines if line.gaps or not gaps]
        shown = views if gaps else [view.model_copy(update={"gaps": []}) for view in views]
        return CompletenessView(streams=shown, over_quota=full)

    def hours(self, site: str, first_hour: int, last_hour: int) -> list[HourLine]:
        """A line per stream and hour of a site; hours are counted from 1970, both are included.

        Of more than `MAX_HOURS` the last ones are told.

        Raises:
            Unknown: there is no such site.
        """
        found = sites.find(self.fleet, site)
        hours = bounded(first_hour, last_hour)
        with reading(self.fleet.engine) as connection:
            stored = days.read_site_hours(connection, found.id, hours)
        unknown_from = self._unknown_from(found.last_seen_us, revoked=found.revoked_us is not None)
        by_stream = {
            stream: unknown_from if untold is None else min(unknown_from, untold)
            for stream, untold in stored.untold_from.items()
        }
        return hour_lines(site, stored.counts, by_stream, hours)

    def fleet_hours(
        self, first_hour: int, last_hour: int, *, search: str = "", limit: int = MAX_SITES, offset: int = 0
    ) -> list[FleetRow]:
        """A row per site, by name; hours as in `hours`. `search` is a part of the name."""
        hours = bounded(first_hour, last_hour)
        with reading(self.fleet.engine) as connection:
            found = days.read_fleet(connection, hours, search, min(limit, MAX_SITES), offset)
        return [self._fleet_row(each, hours) for each in found]

    def count_sites(self, search: str = "") -> int:
        """How many rows `fleet_hours` has in all."""
        with reading(self.fleet.engine) as connection:
            return days.count_sites(connection, search)

    def score(self, first_hour: int, last_hour: int) -> tuple[int, int]:
        """How many records the fleet produced in the days of these hours, and how many of them are stored."""
        with reading(self.fleet.engine) as connection:
            return days.score(connection, first_hour // HOURS_PER_DAY, last_hour // HOURS_PER_DAY)

    def asked(self, since_us: int | None, until_us: int | None) -> range:
        """The hours from one time to another, which are a day back and now where they are left out."""
        last = (self.fleet.clock.now_us() if until_us is None else until_us) // HOUR_US
        return bounded(last - HOURS_PER_DAY + 1 if since_us is None else since_us // HOUR_US, last)

    def fleet_view(self, hours: range, *, search: str = "", limit: int = MAX_SITES, offset: int = 0) -> FleetView:
        """`fleet_hours` as people and scripts are shown it."""
        first, last = hours.start, hours.stop - 1
        produced, stored = self.score(first, last)
        rows = self.fleet_hours(first, last, search=search, limit=limit, offset=offset)
        return FleetView(
            from_us=first * HOUR_US,
            to_us=hours.stop * HOUR_US,
            total=self.count_sites(search),
            produced=produced,
            stored=stored,
            sites=[FleetRowView.model_validate(row) for row in rows],
        )

    def _unknown_from(self, heard_us: int | None, *, revoked: bool) -> int:
        now_us, after_us = self.fleet.clock.now_us(), self.silent_after_s * _US_PER_S
        return knowledge(heard_us, revoked=revoked, now_us=now_us, silent_after_us=after_us).unknown_from

    def _fleet_row(self, site: FleetSite, hours: range) -> FleetRow:
        unknown_from = self._unknown_from(site.heard_us, revoked=site.revoked)
        if site.untold_from is not None:
            unknown_from = min(unknown_from, site.untold_from)
        states, at = site.states, max(0, unknown_from - hours.start)
        if at < len(states):
            states = states[:at] + states[at:].translate(_AS_UNKNOWN)
        return FleetRow(site.name, tuple(map(STATES.__getitem__, states)), site.produced, site.stored)


def _check_moment(at_us: int, thinned_until_us: int) -> None:
    if not is_known(at_us, thinned_until_us):
        day = datetime.fromtimestamp(at_us // _US_PER_S, UTC).strftime("%Y-%m-%d")
        raise Invalid(
            "of so long ago it is known only how everything stood at each midnight, UTC",
            remedy=f"ask for {day}T00:00Z, or keep claims for longer: [retention] claims",
        )


def bounded(first_hour: int, last_hour: int) -> range:
    """The hours that a report tells of when these are asked for."""
    return range(max(0, first_hour, last_hour + 1 - MAX_HOURS), last_hour + 1)


def check_stream(name: str) -> str:
    """Return `name` if it may name a stream or a companion.

    Raises:
        Invalid: with the rule in its text.
    """
    try:
        return check_any_stream(name)
    except BadName as error:
        raise Invalid(str(error)) from None
