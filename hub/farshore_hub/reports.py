"""Completeness as people ask for it: of everything, of one site or stream, or only where something is missing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from farshore_hub.errors import Invalid, Unknown
from farshore_hub.ledger.completeness import completeness
from farshore_hub.store.accounts import read_accounts
from farshore_hub.store.engine import reading
from farshore_hub.store.fleet import find_site
from farshore_hub.views import CompletenessView, StreamView
from farshore_protocol.names import BadName, check_any_stream, check_site
from farshore_protocol.ports import Clock

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports completeness from the ledger."""

    engine: Engine
    clock: Clock
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
        _check_names(site, stream)
        with reading(self.engine) as connection:
            _check_site_is_known(connection, site)
            rows = list(read_accounts(connection, site, stream))
        if stream is not None and not rows:
            raise Unknown(f"nothing was heard of a stream {stream!r}", remedy="farshore-hub completeness lists them")
        lines = completeness(rows, now_us=self.clock.now_us(), silent_after_us=self.silent_after_s * _US_PER_S)
        views = [StreamView.model_validate(line) for line in lines if line.gaps or not gaps]
        return CompletenessView(streams=views if gaps else [view.model_copy(update={"gaps": []}) for view in views])


def _check_names(site: str | None, stream: str | None) -> None:
    try:
        if site is not None:
            check_site(site)
        if stream is not None:
            check_any_stream(stream)
    except BadName as error:
        raise Invalid(str(error)) from None


def _check_site_is_known(connection: Connection, site: str | None) -> None:
    if site is not None and find_site(connection, site) is None:
        raise Unknown(f"there is no site {site!r}", remedy="farshore-hub site list shows all of them")
