"""The database: its version, its pages, the stored batches, and the ledger held against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Engine

from farshore_hub.audit.accounts import HeldAgainst, held_against_batches, rebuild
from farshore_hub.ledger.account import balance
from farshore_hub.store import audit as store
from farshore_hub.store.audit import BatchRow
from farshore_hub.store.engine import LIBRARY_REMEDY, library_fault, reading, writing
from farshore_shell.findings import Fault, Finding, Lost, Severity

REPAIR: Final = "farshore-hub doctor --repair"
_WANTED: Final = (
    f"run: {REPAIR}; the sites are asked for these records again and send what they still have; the rest stays named "
    "in the ledger"
)


def look_at_library(engine: Engine) -> Iterator[Finding]:
    """Whether the library that opens the database can be trusted with it."""
    if fault := library_fault(engine):
        yield Finding("database-library", Severity.TO_DO, fault, Fault.OPERATOR, LIBRARY_REMEDY)


def look_at_pages(engine: Engine) -> Iterator[Finding]:
    """What the database says of its own pages and indexes; PostgreSQL checks its pages itself."""
    if engine.dialect.name != "sqlite":
        return
    with reading(engine) as connection:
        lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(10)")]
    if lines != ["ok"]:
        what = f"the database is damaged; SQLite finds: {lines[0].splitlines()[-1]}"
        remedy = "stop the hub, move hub.db away, restore a backup; sites send again what the backup lacks"
        yield Finding("database", Severity.TO_DO, what, Fault.DISK, remedy)


def damaged_batches(engine: Engine, tell: Callable[[int], None]) -> list[BatchRow]:
    """The stored batches whose bytes do not match their digests."""
    found: list[BatchRow] = []
    after, read_bytes = 0, 0
    while True:
        with reading(engine) as connection:
            rows = store.read_batches(connection, after)
        if not rows:
            return found
        after = rows[-1].id
        read_bytes += sum(row.size for row in rows)
        tell(read_bytes)
        found += [row for row in rows if not row.is_sound]


def about_batch(row: BatchRow) -> Finding:
    """What a damaged batch means."""
    if row.in_lake:
        what = f"the sealed copy of {row.site}/{row.stream} {row.taken} is damaged; the records are in the lake"
        return Finding("batch-spare", Severity.TO_DO, what, Fault.DISK, f"run: {REPAIR} (it gives the spare copy up)")
    lost = Lost(row.stream, row.incarnation.hex(), list(row.taken.ranges), row.site)
    return Finding("batch", Severity.LOST, "a stored batch does not match its digest", Fault.DISK, _WANTED, [lost])


def look_at_ledger(engine: Engine) -> Iterator[Finding]:
    """Hold every account against the batches, and its balance against the counts beside it."""
    with reading(engine) as connection:
        overlapping = store.overlapping_intervals(connection)
        site_ids = store.site_ids(connection)
    if overlapping:
        what = f"{overlapping} interval(s) of the ledger overlap others"
        yield Finding("ledger-intervals", Severity.TO_DO, what, Fault.OURS, "report it, with a copy of the database")
    for site in site_ids:
        with reading(engine) as connection:
            held = list(held_against_batches(connection, site))
        for each in held:
            yield from _about_account(each)


def _about_account(held: HeldAgainst) -> Iterator[Finding]:
    row, audited, stands = held.row, held.audited, balance(held.account)
    name = f"{row.site}/{row.stream}"
    if audited.unbacked:
        lost = Lost(row.stream, row.incarnation.hex(), list(audited.unbacked.ranges), row.site)
        what = f"the ledger says that {name} is stored, and no batch has it"
        yield Finding("ledger-unbacked", Severity.LOST, what, Fault.DISK, _WANTED, [lost])
    if audited.uncounted:
        what = f"{name} {audited.uncounted} is stored, and the ledger does not say so"
        yield Finding("ledger-uncounted", Severity.TO_DO, what, Fault.DISK, f"run: {REPAIR}")
    if audited.doubled:
        what = f"{audited.doubled} record(s) of {name} are stored twice"
        yield Finding("ledger-doubled", Severity.TO_DO, what, Fault.OURS, "report it, with a copy of the database")
    if (stands.stored, stands.receipted) != (row.stored_count, row.receipted_count):
        what = f"the balance of {name} is {stands.stored} stored and {stands.receipted} receipted; the ledger says "
        what += f"{row.stored_count} and {row.receipted_count}"
        yield Finding("ledger-balance", Severity.TO_DO, what, Fault.DISK, f"run: {REPAIR} (it counts anew)")


def repair(engine: Engine, damaged: list[BatchRow], now_us: int) -> Iterator[str]:
    """Ask for damaged batches again, rebuild accounts and balances; what was done, a line for each."""
    for row in damaged:
        with writing(engine) as connection:
            if row.in_lake:
                store.give_up_spare(connection, row.id)
                yield f"gave up the damaged spare copy of {row.site}/{row.stream} {row.taken}"
            elif store.want_again(connection, row.id, now_us):
                yield f"asked {row.site} for {row.taken.count} record(s) of {row.stream} again: {row.taken}"
    yield from _rebuild(engine, now_us)


def _rebuild(engine: Engine, now_us: int) -> Iterator[str]:
    with reading(engine) as connection:
        site_ids = store.site_ids(connection)
    for site in site_ids:
        for row, stands in rebuild(engine, site, now_us):
            yield f"counted {row.site}/{row.stream} anew: {stands.stored} stored, {stands.receipted} receipted"
