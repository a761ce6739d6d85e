"""The lake held against the ledger: are the tables' files there, and are as many rows in them as were written?"""

from __future__ import annotations

from collections.abc import Iterator

from deltalake.exceptions import DeltaError
from sqlalchemy import Engine

from farshore_hub.errors import NotReady
from farshore_hub.lake.tables import LakeTables
from farshore_hub.store import audit as store
from farshore_hub.store import lake as lake_store
from farshore_hub.store.engine import reading
from farshore_shell.findings import Fault, Finding, Severity

_REBUILD = (
    "run: farshore-hub audit --repair; it writes rows again from sealed batches that are kept (retention.payloads), "
    "and asks the sites for the others"
)
_REACH = "is the object store there, and are [lake] in hub.toml and its credentials right? Sites deliver meanwhile"
_WRITE_ANEW = "move the table's folder away, then run: farshore-hub audit --repair"


def look_at_lake(engine: Engine, tables: LakeTables) -> Iterator[Finding]:
    """Every stream's table, and what could not be written."""
    try:
        streams = tables.streams()
    except (OSError, NotReady) as error:
        what = f"the lake cannot be reached: {error}"
        yield Finding("lake-away", Severity.TO_DO, what, Fault.OPERATOR, _REACH)
        return
    for stream in streams:
        try:
            yield from _look_at_table(engine, tables, stream)
        except (OSError, DeltaError, ValueError) as error:
            what = f"the lake's table of {stream} cannot be read: {error}"
            yield Finding("lake-table", Severity.TO_DO, what, Fault.DISK, _WRITE_ANEW)
    with reading(engine) as connection:
        quarantined = lake_store.lag(connection).quarantined
    if quarantined:
        what = f"{quarantined} batch(es) are stored and could not be written into the lake"
        remedy = "after an upgrade, say: farshore-hub doctor --repair tries them again"
        yield Finding("lake-quarantined", Severity.TO_DO, what, Fault.OURS, remedy)


def _look_at_table(engine: Engine, tables: LakeTables, stream: str) -> Iterator[Finding]:
    table = tables.open(stream)
    if table is None:
        return
    missing = table.missing_files()
    if missing:
        what = f"{len(missing)} file(s) of the lake's table of {stream} are gone: {missing[0]}"
        yield Finding("lake-files", Severity.LOST, what, Fault.DISK, _REBUILD)
        return
    with reading(engine) as connection:
        expected = store.lake_records(connection, stream, table.last_commit)
    rows = table.rows().count_rows()
    if rows != expected:
        what = f"the lake's table of {stream} has {rows} rows, the ledger says {expected}"
        severity = Severity.LOST if rows < expected else Severity.TO_DO
        yield Finding("lake-rows", severity, what, Fault.DISK, _REBUILD)
