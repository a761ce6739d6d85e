"""Storing a parcel costs the same however much is stored: SQLite searches an index for every statement."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import event

from farshore_protocol.ranges import RangeSet
from tests.contracts.hub_world import HubWorld


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
            assert not [row.detail for row in plan if row.detail.startswith("SCAN")], statement
    hub.engine.dispose()
    assert len(ran) > 5
