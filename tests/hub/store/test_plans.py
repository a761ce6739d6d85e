"""Storing a parcel costs the same however much is stored: SQLite searches an index for every statement."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import event

from farshore_hub.receive.posting import post
from farshore_hub.receive.verify import BroughtParcel, VerifiedParcel
from farshore_hub.store.engine import writing
from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld

_OF_THE_STATEMENT = re.compile(r"SCAN (CONSTANT ROW|\d+ CONSTANT ROWS|\d+-ROW VALUES CLAUSE)")
"""Keys that the statement itself brings."""


def _reads_a_table(detail: str) -> bool:
    return detail.startswith("SCAN") and not _OF_THE_STATEMENT.fullmatch(detail)


async def test_no_statement_of_a_delivery_reads_a_whole_table(tmp_path: Path) -> None:
    hub = HubWorld(f"sqlite:///{tmp_path}/hub.db")
    site = hub.add_site("ship-1")
    ran: set[str] = set()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            ran.add(statement)

    event.listen(hub.engine, "before_cursor_execute", note)
    batch = site.batch(1, 10)
    parcel = site.parcel(batch, head=30, held=RangeSet.of((11, 20)), receipts=[site.receipt(21, 30)])
    for raw in (parcel, parcel, site.parcel(batch, epochs=False, whole=True)):
        await hub.deliver(raw, "ship-1", hub.another_receiver())
    event.remove(hub.engine, "before_cursor_execute", note)
    with hub.engine.connect() as connection:
        for statement in ran:
            nothing = (None,) * statement.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", nothing).all()
            assert not [row.detail for row in plan if _reads_a_table(row.detail)], statement
    hub.engine.dispose()
    assert len(ran) > 5


def test_parcels_of_many_sites_are_stored_by_as_many_statements_as_of_one(tmp_path: Path) -> None:
    of_one, of_five = (_statements(tmp_path / f"{sites}.db", sites) for sites in (1, 5))
    # What is left for each: is the key that a site brings known; is it stored.
    assert [len([each for each in ran if "key_epochs" in each]) for ran in (of_one, of_five)] == [2, 10]
    assert len(of_five) - len(of_one) == 2 * (5 - 1)


def _statements(database: Path, sites: int) -> list[str]:
    """What runs to store one group of parcels, one of each site."""
    hub = HubWorld(f"sqlite:///{database}")
    fleet = [hub.add_site(f"ship-{number}") for number in range(sites)]
    brought = [BroughtParcel(each.parcel(each.batch(1, 10), whole=True), each.name) for each in fleet]
    ran: list[str] = []
    event.listen(hub.engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: ran.append(statement))
    parcels = [each for each in hub.receiver._verifier.verify(brought) if isinstance(each, VerifiedParcel)]
    with writing(hub.engine) as connection:
        outcomes = post(connection, parcels, 0)
    assert [outcome.records for outcome in outcomes] == [10] * sites
    hub.engine.dispose()
    return ran
