"""What the routes work with. `app` makes one and hands it to `make_app`; the routes know nothing else of the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from farshore_hub.fleet.context import Fleet
from farshore_hub.lake.ports import Opener
from farshore_hub.lake.reader import LakeReader
from farshore_hub.merged.desk import TableDesk
from farshore_hub.orders.desks import OrderDesks
from farshore_hub.overview import Overview
from farshore_hub.reports import Reporter
from farshore_hub.share.desk import ShareDesk
from farshore_hub.watch.desk import Desk
from farshore_hub.watch.promises import Promises
from farshore_hub.web.bodies import BodyReader
from farshore_hub.web.door import SitesDoor
from farshore_hub.work.lanes import Lane
from farshore_protocol.ports import Runner


@dataclass(frozen=True, slots=True)
class Services:
    """The hub as the web sees it.

    Attributes:
        fleet: sites, keys and tokens.
        door: takes parcels.
        reporter: completeness.
        overview: the fleet and single sites as people look at them.
        desk: alerts, silences and maintenance.
        promises: expectations and objectives.
        tables: merged tables.
        share: their rows, for the sites that follow them.
        orders: configuration, rollouts, commands and secrets.
        lake: SQL and export.
        opener: opens sealed batches.
        query_timeout_s, max_query_rows: bounds of one query.
        checks: what must hold before this process is ready: name to a function that returns what is wrong, or "".
        impairments: what need not hold for that, in the same form.
        metrics: the Prometheus text.
        bodies: reads request bodies within the budget.
        stopping: set when the hub ends; whoever answers for long ends then.
        run: runs short blocking work beside the event loop.
        run_long: the same for reports, so that they never hold up a sign-in.
        queries: where SQL is answered.
        exports: where exports are made; they may take an hour, and hold up neither a query nor a report.
    """

    fleet: Fleet
    door: SitesDoor
    reporter: Reporter
    overview: Overview
    desk: Desk
    promises: Promises
    tables: TableDesk
    share: ShareDesk
    orders: OrderDesks
    lake: LakeReader
    opener: Opener
    query_timeout_s: float
    max_query_rows: int
    checks: dict[str, Callable[[], str]]
    impairments: dict[str, Callable[[], str]]
    metrics: Callable[[], bytes]
    bodies: BodyReader
    stopping: asyncio.Event
    run: Runner
    run_long: Runner
    queries: Lane
    exports: Lane


def services_of(request: Request) -> Services:
    """The services that `make_app` was given."""
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101 - `make_app` puts them there
    return services


Hub = Annotated[Services, Depends(services_of)]
"""A route's parameter for the services."""
