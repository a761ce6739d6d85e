"""The fleet and single sites as people look at them: the same for the page, the API and the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farshore_hub.fleet import sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.account import Account
from farshore_hub.ledger.completeness import completeness
from farshore_hub.ledger.standing import Choice, SiteLine, Standing, chosen, summary
from farshore_hub.reports import check_stream
from farshore_hub.store import fleet as fleet_store
from farshore_hub.store import orders
from farshore_hub.store import site_report as store
from farshore_hub.store.accounts import open_existing, read_accounts, read_settled_sums, read_unsettled
from farshore_hub.store.engine import reading
from farshore_hub.views import (
    SiteLineView,
    SiteReportView,
    SiteView,
    StandingsView,
    StreamView,
    SummaryView,
    WatermarkView,
)
from farshore_protocol.hours import HOUR_US
from farshore_protocol.names import base_of

ARRIVALS_US: Final = 7 * 24 * HOUR_US
_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads how sites stand.

    Attributes:
        fleet: whose.
        silent_after_s: of a site that was not heard for so long nobody can say that it is complete.
    """

    fleet: Fleet
    silent_after_s: int

    def lines(self, stream: str | None = None) -> list[SiteLine]:
        """Every site in a line; with a stream, those that have it, by that stream alone.

        Raises:
            Invalid: the stream's name is not one.
        """
        return self._lines_of_all() if stream is None else self._lines_of(check_stream(stream))

    def _lines_of_all(self) -> list[SiteLine]:
        with reading(self.fleet.engine) as connection:
            known = fleet_store.heard_sites(connection)
            settled = list(read_settled_sums(connection))
            unsettled = list(read_unsettled(connection))
        now_us = self.fleet.clock.now_us()
        lines = {name: self._line(name, heard, revoked, now_us) for name, heard, revoked in known}
        for sums in settled:
            lines[sums.site].add_settled(sums)
        for each in completeness(unsettled, now_us=now_us, silent_after_us=self._silent_after_us):
            lines[each.site].add_unsettled(each)
        return list(lines.values())

    def _lines_of(self, stream: str) -> list[SiteLine]:
        with reading(self.fleet.engine) as connection:
            known = fleet_store.heard_sites(connection)
            rows = list(read_accounts(connection, None, stream))
        now_us = self.fleet.clock.now_us()
        lines = {name: self._line(name, heard, revoked, now_us) for name, heard, revoked in known}
        for each in completeness(rows, now_us=now_us, silent_after_us=self._silent_after_us):
            if each.stream == stream:
                lines[each.site].add(each)
        return [line for line in lines.values() if line.streams]

    def streams(self) -> list[str]:
        """The names of all streams that anything was heard of, without what Farshore adds to them."""
        with reading(self.fleet.engine) as connection:
            return [name for name in store.stream_names(connection) if base_of(name) == name]

    def report(self, choice: Choice, stream: str | None = None, *, offset: int = 0, limit: int = 100) -> StandingsView:
        """The fleet in numbers, and a part of the sites that were asked for.

        Raises:
            Invalid: the stream's name is not one.
        """
        lines = self.lines(stream)
        found = chosen(lines, choice)
        shown = [SiteLineView.model_validate(line) for line in found[offset : offset + limit]]
        return StandingsView(summary=SummaryView.model_validate(summary(lines)), found=len(found), sites=shown)

    def site(self, name: str) -> SiteReportView:
        """Everything about one site.

        Raises:
            Invalid, Unknown: there is none of that name.
        """
        site = sites.find(self.fleet, name)
        now_us = self.fleet.clock.now_us()
        with reading(self.fleet.engine) as connection:
            rows = list(read_accounts(connection, name))
            newest = open_existing(connection, store.newest_accounts(connection, site.id))
            known = {
                "certificate_ends_us": fleet_store.last_certificate_end(connection, site.id),
                "starts": store.count_lives(connection, site.id),
                "receipts": store.receipt_sums(connection, site.id),
                "repairs": store.site_repairs(connection, site.id),
                "resends": orders.resends(connection, name),
                "forks": store.site_forks(connection, site.id),
                "arrivals": store.arrivals(connection, site.id, now_us - ARRIVALS_US),
            }
        streams = completeness(rows, now_us=now_us, silent_after_us=self._silent_after_us)
        line = self._line(site.name, site.last_seen_us, site.revoked_us, now_us)
        for stream in streams:
            line.add(stream)
        marks = [
            WatermarkView(stream=stream, incarnation=life.hex(), watermark=_watermark(account), head=account.head)
            for (_, life, stream), (_, account) in sorted(newest.items(), key=lambda each: each[0][2])
        ]
        return SiteReportView.model_validate(
            known
            | {
                "site": SiteView.model_validate(site),
                "line": SiteLineView.model_validate(line),
                "streams": [StreamView.model_validate(each) for each in streams],
                "watermarks": marks,
            },
            from_attributes=True,
        )

    @property
    def _silent_after_us(self) -> int:
        return self.silent_after_s * _US_PER_S

    def _line(self, name: str, heard_us: int | None, revoked_us: int | None, now_us: int) -> SiteLine:
        revoked = revoked_us is not None
        silent = revoked or (heard_us is not None and now_us - heard_us > self._silent_after_us)
        return SiteLine(name, heard_us, silent, revoked, Standing.UNKNOWN if revoked else Standing.NEW)


def _watermark(account: Account) -> int:
    return (account.stored - account.wanted | account.receipted).watermark
