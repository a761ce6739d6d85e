"""Completeness as people ask for it: of everything, of one site or stream, or only where something is missing."""

from __future__ import annotations

from dataclasses import dataclass

from farshore_hub.errors import Invalid, Unknown
from farshore_hub.fleet import sites
from farshore_hub.fleet.context import Fleet
from farshore_hub.ledger.completeness import completeness
from farshore_hub.store.accounts import read_accounts
from farshore_hub.store.engine import reading
from farshore_hub.views import CompletenessView, StreamView
from farshore_protocol.names import BadName, check_any_stream

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports completeness from the ledger."""

    fleet: Fleet
    silent_after_s: int

    def completeness(
        self, site: str | None = None, stream: str | None = None, *, gaps: bool = False
    ) -> CompletenessView:
        """A line per site and stream.

        Args:
            site: only this one.
            stream: only this one.
            gaps: only the lines where something is missing, with its ranges.

        Raises:
            Invalid, Unknown: the site or the stream is not one.
        """
        if site is not None:
            sites.find(self.fleet, site)
        if stream is not None:
            check_stream(stream)
        with reading(self.fleet.engine) as connection:
            rows = list(read_accounts(connection, site, stream))
        if stream is not None and not rows:
            raise Unknown(f"nothing was heard of a stream {stream!r}", remedy="farshore-hub completeness lists them")
        now_us = self.fleet.clock.now_us()
        lines = completeness(rows, now_us=now_us, silent_after_us=self.silent_after_s * _US_PER_S)
        views = [StreamView.model_validate(line) for line in lines if line.gaps or not gaps]
        return CompletenessView(streams=views if gaps else [view.model_copy(update={"gaps": []}) for view in views])


def check_stream(name: str) -> str:
    """Return `name` if it may name a stream or a companion.

    Raises:
        Invalid: with the rule in its text.
    """
    try:
        return check_any_stream(name)
    except BadName as error:
        raise Invalid(str(error)) from None
