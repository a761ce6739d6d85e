"""A hub with a lake, and sites that deliver to it; and hands that damage what it has stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from sqlalchemy import select, update

from farshore_hub.audit.differences import AuditReport, Difference
from farshore_hub.audit.lake import LakeCare
from farshore_hub.audit.round import Position, Round
from farshore_hub.lake.files.location import Location
from farshore_hub.lake.lease import Lease, lease_for
from farshore_hub.lake.loading import Loader
from farshore_hub.lake.settings import LakeSettings
from farshore_hub.lake.tables import LakeTables
from farshore_hub.lake.upkeep import forget_payloads
from farshore_hub.lake.writer import LakeWriter
from farshore_hub.receive.opener import BatchOpener
from farshore_hub.store.audit import EVERYTHING, Scope
from farshore_hub.store.engine import reading, writing
from farshore_hub.store.schema import batches
from tests.contracts.hub_world import FakeSite, HubWorld, inline

STREAM = "boiler"
PER_BATCH = 100


class AuditWorld(HubWorld):
    """A hub, its lake, and its audit."""

    def __init__(self, url: str, lake: Location, lock_file: Path) -> None:
        super().__init__(url)
        self.tables = LakeTables(lake, self.keys.hub)
        self.lock_file = lock_file
        self.opener = BatchOpener(self.engine, self.keys)
        self.care = LakeCare(self.engine, self.tables, Loader(self.engine, self.opener), self.clock)
        self.writer = LakeWriter(
            self.engine, self.opener, self.tables, self.lease(), self.clock, inline, LakeSettings()
        )

    def lease(self) -> Lease:
        """As another process has it."""
        return lease_for(self.engine, self.lock_file)

    def close(self) -> None:
        self.writer._release()
        self.engine.dispose()

    @property
    def table(self) -> DeltaTable:
        lake = self.tables.location
        return DeltaTable(lake.of(STREAM), storage_options=dict(lake.options) or None)

    @property
    def files(self) -> list[Path]:
        """For a test that damages them by hand."""
        return [self.folder / STREAM / path for path in self.table.file_uris()]

    @property
    def folder(self) -> Path:
        """The lake's folder, for a test that looks into it."""
        if self.tables.location.folder is None:
            pytest.skip("it looks into the folder")
        return self.tables.location.folder

    async def fill(self, *sites: FakeSite, batches: int = 3) -> None:
        """Every site delivers so many batches; all of it is in the lake then, a file for each delivery."""
        for site in sites:
            first = [site.batch(1 + each * PER_BATCH, PER_BATCH) for each in range(batches)]
            await self.deliver(site.parcel(*first, head=batches * PER_BATCH), site.name)
            await self.writer.drain()

    def forget_payloads(self) -> None:
        """As after `retention.payloads`."""
        forget_payloads(self.engine, self.clock.now_us() + 1, max_commits=1000)

    def audit(self, scope: Scope = EVERYTHING, *, repairs: bool = False) -> list[Difference]:
        """A whole round."""
        report = AuditReport()
        for step in Round(self.engine, self.care, self.clock, report, scope, repairs).steps(Position()):
            if step.lake_work is not None:
                step.lake_work()
        return report.differences

    def audit_in_pieces(self, steps: int) -> list[Difference]:
        """A whole round that is begun anew after so many finished steps, as by a hub that is started again."""
        report, position = AuditReport(), Position()
        while True:
            before = position
            for step in Round(self.engine, self.care, self.clock, report).steps(position):
                position = step.position or position
                if step.position is not None and (steps := steps - 1) <= 0:
                    break
            if position == before:
                return report.differences
            steps = 1

    def found(self, scope: Scope = EVERYTHING) -> list[tuple[Any, ...]]:
        """Kind, site, ranges, and of rows what is missing, twice and altered, as a round says it."""
        return [
            (each.kind, each.site, str(each.ranges), str(each.missing), str(each.doubled), str(each.altered))
            for each in self.audit(scope)
        ]

    def rows(self) -> list[tuple[str, int, int]]:
        """Site, sequence and the value that says which one it was, of every row in the lake."""
        rows = self.table.to_pyarrow_table(columns=["_site", "_seq", "n"]).to_pylist()
        return sorted((row["_site"], row["_seq"], row["n"]) for row in rows)

    # -------------------------------------------------------------- damage

    def flip_batch(self, site: str, first: int) -> None:
        """Flip a bit of a sealed batch."""
        at = self.batch_id(first)
        with writing(self.engine) as connection:
            raw = bytearray(connection.scalar(select(batches.c.raw).where(batches.c.id == at)) or b"")
            raw[-3] ^= 1
            connection.execute(update(batches).where(batches.c.id == at).values(raw=bytes(raw)))

    def batch_id(self, first: int) -> int:
        with reading(self.engine) as connection:
            at = connection.scalar(select(batches.c.id).where(batches.c.first == first).order_by(batches.c.id))
        assert at is not None
        return int(at)

    def delete_row(self, sequence: int) -> None:
        """As a DELETE does it, which writes texts in another way than the hub."""
        self.table.delete(f"_seq = {sequence}")

    def alter_row(self, sequence: int) -> None:
        self.table.update({"n": "n + 1"}, predicate=f"_seq = {sequence}")

    def double_row(self, sequence: int) -> None:
        rows = self.table.to_pyarrow_table()
        some = rows.filter(pa.compute.equal(rows["_seq"], sequence))
        write_deltalake(self.table, some, mode="append")
