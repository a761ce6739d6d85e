"""What the routes work with. `app` makes one and hands it to `make_app`; the routes know nothing else of the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from farshore_hub.fleet.context import Fleet
from farshore_hub.web.bodies import BodyReader
from farshore_protocol.ports import Runner


class Records(Protocol):
    """What was delivered, to be read by people and scripts; blocking."""

    def completeness(self, site: str | None, stream: str | None, *, gaps: bool) -> list[dict[str, Any]]:
        """A row per site and stream."""
        ...

    def query(self, sql: str) -> dict[str, Any]:
        """Columns and rows of a query over the streams."""
        ...

    def export(self, stream: str, site: str | None, form: str) -> bytes:
        """All records of a stream in one of the export formats."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The hub as the web sees it.

    Attributes:
        fleet: sites, keys and tokens.
        receive: takes a parcel and the site that signed in; returns the signed answer.
        records: what was delivered.
        checks: what must hold before this process is ready: name to a function that returns what is wrong, or "".
        metrics: the Prometheus text.
        bodies: reads request bodies within the budget.
        run: runs blocking work beside the event loop.
    """

    fleet: Fleet
    receive: Callable[[bytes, str | None], Awaitable[bytes]]
    records: Records
    checks: dict[str, Callable[[], str]]
    metrics: Callable[[], bytes]
    bodies: BodyReader
    run: Runner


def services_of(request: Request) -> Services:
    """The services that `make_app` was given."""
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - `make_app` puts them there
    return services


Hub = Annotated[Services, Depends(services_of)]
"""A route's parameter for the services."""
